-- Writes records if nothing that was loaded has changed meanwhile and the time fits. Knows nothing of what the
-- records mean.
--
-- KEYS: the user record, the servers that wait for this user, then the records to write.
-- ARGV: the version that was loaded (8 bytes, empty for none); by TIME in milliseconds, from when and before
--       when the commit may happen; the head of the servers' channels; how many messages follow; the messages;
--       then for the user record and each of the other records its value and the time of its end.
-- Answers 1 once it is written, 0 when the version is another or the time is over.
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < tonumber(ARGV[2]) or now >= tonumber(ARGV[3]) then
  return 0
end
local messages = tonumber(ARGV[5])
-- Before anything is written: a script that fails undoes nothing.
local servers = messages > 0 and redis.call('SMEMBERS', KEYS[2]) or {}
local argument = 6 + messages
for key = 1, #KEYS do
  if key ~= 2 then
    redis.call('SET', KEYS[key], ARGV[argument], 'PXAT', ARGV[argument + 1])
    argument = argument + 2
  end
end
for _, server in ipairs(servers) do
  for message = 6, 5 + messages do
    redis.call('PUBLISH', ARGV[4] .. server, ARGV[message])
  end
end
return 1
