-- Included by the scripts that must reach the links of a verification.
--
-- A link leads from the digest of its token to the id of the verification. The record has the same digest, as that of the
-- secret of a send; so the names of its links follow from the record. A link lives as long as the record.

-- Returns the keys of all links of a record, in the record's slot.
local function link_keys(verification_key, record)
  local keys = {}
  if record[FIELD.action] == 'link' then
    local prefix = string.gsub(verification_key, ':v:.*', ':link:')
    for name in pairs(record) do
      if string.sub(name, 1, #FIELD.code) == FIELD.code then
        keys[#keys + 1] = prefix .. string.gsub(string.sub(name, #FIELD.code + 1), '.', function(byte)
          return string.format('%02x', string.byte(byte))
        end)
      end
    end
  end
  return keys
end

local function keep_links(verification_key, record, rest_ms)
  for _, key in ipairs(link_keys(verification_key, record)) do redis.call('PEXPIRE', key, rest_ms, 'GT') end
end
