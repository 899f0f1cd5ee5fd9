// What all parts of the phone use: its elements, and requests to the simulator's test interface.

export const INTERFACE = "_/";

export const element = (id) => document.getElementById(id);

export function make(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function quietButton(name, text, act) {
  const button = make("button", `quiet ${name}`, text);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

/** Show a sentence below the messages. */
export function notify(text) {
  element("notice").textContent = text;
}

/** Call the test interface. If it cannot be reached, say so on the phone and return null. */
export async function ask(path, request) {
  try {
    const answer = await fetch(INTERFACE + path, request);
    return answer.status === 204 ? {} : await answer.json();
  } catch {
    notify("The simulator of Twilio is out of reach.");
    return null;
  }
}

/** Act for the owner of the phone; show why if the simulator refuses. */
export async function act(method, path, body) {
  const answer = await ask(path, { method, body: body && JSON.stringify(body) });
  if (answer?.error) notify(answer.error);
  return answer?.error ? null : answer;
}
