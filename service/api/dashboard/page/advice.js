// What the codes and reasons of a report mean, and what an operator can do about each.

const DEAF = "The phone was off or out of reach. Nothing to do for single ones; if many fail in one country, its route is broken: tell Twilio support.";
const ROUTE = "Ask Twilio support for another route to this carrier, or offer another channel there.";
const REGISTER = "Register the sender in Twilio's Console (10DLC campaign, toll-free verification or the country's sender registration), or use another sender.";
const NUMBER = "The number is wrong or is no mobile. Check it while the person types it, and let them correct it.";
const PUMPING = "Twilio takes it for SMS pumping. Leave it blocked; look at the country and the prefix, and lower OTP_LIMIT_PREFIX.";
const COUNTRY = "Allow the country in Twilio's Console (Messaging, Geo permissions), or remove it from OTP_COUNTRIES.";
const TEMPLATE = "Check the content template and its approval in Twilio's Console, then run otp-service check.";
const RATE = "More messages than the sender may carry. Add senders to the Messaging Service, or ask for more throughput.";

const CODES = {
  20003: ["Credentials refused", "Twilio refuses the credentials. Run otp-service check."],
  20429: ["Too many requests", RATE],
  21211: ["Not a phone number", NUMBER],
  21214: ["Number cannot be reached", NUMBER],
  21217: ["Not a phone number", NUMBER],
  21408: ["Country not enabled at Twilio", COUNTRY],
  21606: ["Sender cannot send there", "Use a sender that can send to this country."],
  21608: ["Trial account", "Twilio's trial accounts only send to verified numbers. Upgrade the account."],
  21610: ["Recipient opted out", "The person replied STOP to this sender. Ask them to reply START, or offer another channel."],
  21612: ["Sender cannot reach this number", "Use another sender for this country, or another channel."],
  21614: ["Not a mobile number", NUMBER],
  30001: ["Queue overflow", RATE],
  30002: ["Account suspended", "Twilio has suspended the account. See its Console."],
  30003: ["Phone unreachable", DEAF],
  30004: ["Blocked by the carrier or person", "The person or carrier blocks the sender. Offer another channel."],
  30005: ["Unknown number", NUMBER],
  30006: ["Landline or unreachable carrier", NUMBER],
  30007: ["Filtered by the carrier", "The carrier took the message for spam. Keep the text short, name your brand, put no links into codes, and register the sender."],
  30008: ["Unknown error at the carrier", ROUTE],
  30017: ["Carrier congestion", "Wait. If it lasts, ask Twilio support for another route."],
  30032: ["Toll-free number not verified", REGISTER],
  30034: ["Sender not registered (10DLC)", REGISTER],
  30410: ["Carrier did not answer in time", ROUTE],
  30450: ["Blocked as SMS pumping", PUMPING],
  30453: ["Blocked as SMS pumping", PUMPING],
  60410: ["Blocked as SMS pumping", PUMPING],
  63003: ["No WhatsApp on this number", "Fall back to SMS: list both channels when you issue."],
  63016: ["Outside WhatsApp's window", TEMPLATE],
  63018: ["WhatsApp rate limit", RATE],
  63024: ["No WhatsApp on this number", "Fall back to SMS: list both channels when you issue."],
  63027: ["Template missing in this language", TEMPLATE],
  63028: ["Wrong template variables", TEMPLATE],
};

/** What an error code means, and what to do. */
export function ofCode(code) {
  if (code === null) return ["No code given", "Twilio named no reason. Look the message up in Twilio's Console."];
  if (CODES[code]) return CODES[code];
  if (code >= 63000 && code < 64000) return ["WhatsApp error", "Look the code up at Twilio; most of them concern the sender or its template."];
  if (code >= 30000 && code < 31000) return ["Carrier error", ROUTE];
  return ["Twilio error", "Look the code up at Twilio."];
}

export const REASONS = {
  open: ["Still open", "May still be confirmed."],
  not_accepted: ["Not accepted", "Twilio took no message. See the error codes."],
  not_delivered: ["Not delivered", "The carrier or the phone did not take it. See the error codes."],
  no_report: ["No delivery report", "Nothing is known after Twilio took it. Check OTP_PUBLIC_URL if there are many."],
  nothing_typed: ["Nothing typed", "It arrived and nobody answered. Many of these in one country can be pumping."],
  wrong_codes: ["Wrong codes only", "It arrived, and only wrong codes were typed. Many of these can be guessing."],
  too_late: ["Too late", "The code was typed after its end. Consider a longer OTP_CODE_TTL."],
  another_send: ["Another send was used", "A resend overtook it. Many of these mean slow delivery."],
};

const LIMITS = {
  number: ["Sends to one number", "OTP_LIMIT_NUMBER"],
  failed_checks: ["Failed checks of a number", "OTP_LIMIT_FAILED_CHECKS"],
  client_ip: ["Sends of one address", "OTP_LIMIT_IP"],
  api_key: ["Sends of one API key", "OTP_LIMIT_KEY"],
  prefix: ["Sends to one prefix", "OTP_LIMIT_PREFIX"],
  country: ["Sends to one country", "OTP_LIMIT_COUNTRY"],
  day: ["All sends of a day", "OTP_LIMIT_DAY"],
  country_not_allowed: ["Country not allowed", "OTP_COUNTRIES, OTP_COUNTRIES_WHATSAPP, OTP_COUNTRIES_VOICE"],
  not_a_mobile_number: ["Kind of line not allowed", "OTP_LINE_TYPES"],
  invalid_number: ["No phone number of a person", ""],
  invalid_request: ["Action or channel that does not fit", ""],
  channel_unavailable: ["Channel without a sender", "TWILIO_WHATSAPP_FROM, TWILIO_VOICE_FROM"],
  sender_cannot_receive: ["Sender that takes no replies or calls", "OTP_CALL_NUMBER"],
  client_ip_required: ["Request without client_ip", "OTP_REQUIRE_CLIENT_IP"],
  sending_halted: ["Sending was halted: Twilio failed or refused us", ""],
  budget: ["Budget of a day", "OTP_BUDGET_DAY"],
  sms: ["SMS", "OTP_LIMIT_SMS"],
  whatsapp: ["WhatsApp messages", "OTP_LIMIT_WHATSAPP"],
  voice: ["Voice calls", "OTP_LIMIT_VOICE"],
};

/** What a limit or rule counts, and its setting. */
export const ofLimit = (reason) => LIMITS[reason] ?? [reason.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase()), ""];
