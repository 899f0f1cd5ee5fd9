#!lua
-- Note that a send was handed to Twilio, which gave no clear answer: it may have gone out, so it supersedes earlier codes.
--
-- KEYS   1 verification
-- ARGV   1 send number
-- answer 1, or 0 when there is nothing to note: the record or the send is gone, or Twilio has spoken of it meanwhile

if redis.call('HEXISTS', KEYS[1], 't:' .. ARGV[1]) == 0 then return 0 end
return redis.call('HSETNX', KEYS[1], 'd:' .. ARGV[1], '0unknown')
