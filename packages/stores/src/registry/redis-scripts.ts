import { script } from '../redis.ts'

/**
 * The registry's steps on Redis. All keys of one registry lie in one hash slot (KEYS, in this order):
 *
 *   1 sound    hash: `identity` under which the registry was found whole; `lost` where it was found not to be
 *   2 latest   hash: document id → version, state, replayedAt, what a deletion keeps, the rest; a line each
 *   3 visible  hash: document id → version, build, chunks, lag, the whole, fingerprint if it has one; a line each
 *   4 floor    hash: document id → version
 *   5 order    sorted set of equal scores, so in the order of bytes: `<state>\n<id>` and, of every document, `\n<id>`
 *   6 flips    sorted set: ids of the newest flips by the time of their indexing
 *   7 chunks   how many are visible
 *   8 queued   sorted set in the order of bytes: `<version>\n<tenant>/<id>`, of all tenants
 *   9 near     sorted set in the order of bytes: `<key><fingerprint>\n<id>` for each of the four band keys of what is visible
 *
 * JSON is never read here: cjson would change numbers and empty lists. JSON has no line breaks, so lines can hold it.
 */
const COMMON = `
  -- Bytewise: what '<' says of strings depends on the server's locale.
  local function less(a, b)
    for i = 1, math.min(#a, #b) do
      local x, y = string.byte(a, i), string.byte(b, i)
      if x ~= y then return x < y end
    end
    return #a < #b
  end
  local function lines(text)
    return string.match(text, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  end
  -- A new one begins with every start of a server and with every promotion of a replica.
  local function identity()
    local info = redis.call('INFO', 'replication')
    if not string.find(info, 'role:master', 1, true) then return nil end
    return string.match(info, 'master_replid:(%x+)')
  end
  -- In parts: Lua takes no more than some thousand values at once.
  local function found(key, ids, first)
    local values = {}
    for from = first, #ids, 1000 do
      local part = redis.call('HMGET', key, unpack(ids, from, math.min(from + 999, #ids)))
      for i = 1, #part do values[#values + 1] = part[i] end
    end
    return values
  end
  -- Whoever was visible, or will be, is found by its four bands or is not.
  local function mark(command, id, visible)
    local fingerprint = string.match(visible, '\\n(%x+)$')
    if not fingerprint then return end
    for band = 0, 3 do
      local member = band .. string.sub(fingerprint, 4 * band + 1, 4 * band + 4) .. fingerprint .. '\\n' .. id
      if command == 'ZADD' then redis.call('ZADD', KEYS[9], 0, member)
      else redis.call('ZREM', KEYS[9], member) end
    end
  end
  local function setLatest(id, tenant, old, version, state, replayed, kept, rest)
    local place = '\\n' .. tenant .. '/' .. id
    if old then
      local oldVersion, oldState = lines(old)
      redis.call('ZREM', KEYS[5], oldState .. '\\n' .. id)
      if oldState == 'queued' then redis.call('ZREM', KEYS[8], oldVersion .. place) end
    else
      redis.call('ZADD', KEYS[5], 0, '\\n' .. id)
    end
    redis.call('ZADD', KEYS[5], 0, state .. '\\n' .. id)
    if state == 'queued' then redis.call('ZADD', KEYS[8], 0, version .. place) end
    redis.call('HSET', KEYS[2], id, table.concat({version, state, replayed, kept, rest}, '\\n'))
  end`

/** ARGV[1] of a reading script is 1 where it must not answer from a registry that may have lost writes. */
const CHECKED = `${COMMON}
  if ARGV[1] == '1' and redis.call('HGET', KEYS[1], 'identity') ~= identity() then
    return redis.error_reply('UNSOUND')
  end`

/** ARGV: checked, ids. → {latest, visible, floor}, each in the order of the ids. */
export const LOOK_UP = script(`${CHECKED}
  return {found(KEYS[2], ARGV, 2), found(KEYS[3], ARGV, 2), found(KEYS[4], ARGV, 2)}`)

/** ARGV: checked, least and greatest member of \`order\`, limit. → {ids, latest, visible, floor} */
export const LIST = script(`${CHECKED}
  local ids = redis.call('ZRANGEBYLEX', KEYS[5], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
  for i = 1, #ids do ids[i] = string.match(ids[i], '\\n(.*)$') end
  return {ids, found(KEYS[2], ids, 1), found(KEYS[3], ids, 1), found(KEYS[4], ids, 1)}`)

/** ARGV: checked, limit of each key, keys. → members of `near` */
export const CANDIDATES = script(`${CHECKED}
  local members = {}
  for i = 3, #ARGV do
    local of = redis.call('ZRANGEBYLEX', KEYS[9], '[' .. ARGV[i], '(' .. ARGV[i] .. 'g', 'LIMIT', 0, ARGV[2])
    for j = 1, #of do members[#members + 1] = of[j] end
  end
  return members`)

/** ARGV: checked, states. → how many of each, then the visible chunks */
export const COUNTS = script(`${CHECKED}
  local counts = {}
  for i = 2, #ARGV do
    counts[i - 1] = redis.call('ZLEXCOUNT', KEYS[5], '[' .. ARGV[i] .. '\\n', '(' .. ARGV[i] .. '\\v')
  end
  counts[#ARGV] = tonumber(redis.call('GET', KEYS[7]) or '0')
  return counts`)

/** ARGV: checked, limit. → lags, newest first */
export const RECENT_LAGS = script(`${CHECKED}
  local visible = found(KEYS[3], redis.call('ZREVRANGE', KEYS[6], 0, ARGV[2] - 1), 1)
  local lags = {}
  for i = 1, #visible do
    local _, _, _, lag = lines(visible[i])
    lags[i] = lag
  end
  return lags`)

/** ARGV: checked, least and greatest member of \`queued\`, limit. */
export const QUEUED = script(`${CHECKED}
  return redis.call('ZRANGEBYLEX', KEYS[8], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])`)

/** ARGV: tenant, id, version, state, replayedAt, kept, rest. */
export const RECORD_ATTEMPT = script(`${COMMON}
  local tenant, id, version, state, replayed, kept, rest = unpack(ARGV)
  local old = redis.call('HGET', KEYS[2], id)
  if old then
    local oldVersion, oldState, oldReplayed = lines(old)
    if oldVersion ~= version then
      if less(version, oldVersion) then return end
    elseif oldState == 'deleted' then
      return
    elseif oldState ~= 'queued' and state == 'queued' then
      if oldState == 'indexed' or tonumber(replayed) <= tonumber(oldReplayed) then return end
    end
  end
  setLatest(id, tenant, old, version, state, replayed, kept, rest)`)

/** ARGV: tenant, id, version, build, chunks, lag, indexedAt, limit of flips, visible (and the line of its fingerprint), kept, rest. → {outcome, version, build} */
export const FLIP = script(`${COMMON}
  local tenant, id, version, build, chunks, lag, at, limit, visible, kept, rest = unpack(ARGV)
  local floor = redis.call('HGET', KEYS[4], id)
  if floor and not less(floor, version) then return {'deleted', floor} end
  local old = redis.call('HGET', KEYS[3], id)
  local oldVersion, oldBuild, oldChunks
  if old then
    oldVersion, oldBuild, oldChunks = lines(old)
    if less(version, oldVersion) then return {'superseded', oldVersion} end
    if version == oldVersion and build == oldBuild then return {'same', oldVersion} end
    mark('ZREM', id, old)
  end
  redis.call('HSET', KEYS[3], id, table.concat({version, build, chunks, lag, visible}, '\\n'))
  mark('ZADD', id, visible)
  redis.call('INCRBY', KEYS[7], chunks - (oldChunks or 0))
  redis.call('ZADD', KEYS[6], at, id)
  redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -limit - 1)
  local latest = redis.call('HGET', KEYS[2], id)
  if not latest or not less(version, (lines(latest))) then
    setLatest(id, tenant, latest, version, 'indexed', '0', kept, rest)
  end
  return {'flipped', oldVersion or '', oldBuild or ''}`)

/** ARGV: tenant, id, version, kept (of a document that was unknown), rest. */
export const RAISE_FLOOR = script(`${COMMON}
  local tenant, id, version, kept, rest = unpack(ARGV)
  local floor = redis.call('HGET', KEYS[4], id)
  if not floor or less(floor, version) then redis.call('HSET', KEYS[4], id, version) end
  local visible = redis.call('HGET', KEYS[3], id)
  if visible then
    local visibleVersion, _, chunks = lines(visible)
    if not less(version, visibleVersion) then
      redis.call('HDEL', KEYS[3], id)
      mark('ZREM', id, visible)
      redis.call('ZREM', KEYS[6], id)
      redis.call('DECRBY', KEYS[7], chunks)
    end
  end
  local latest = redis.call('HGET', KEYS[2], id)
  if latest then
    local latestVersion, _, _, known = lines(latest)
    if less(version, latestVersion) then return end
    kept = known
  end
  setLatest(id, tenant, latest, version, 'deleted', '0', kept, rest)`)

/** KEYS: sound. → {identity, 'sound' | 'unchecked' | 'lost'}; no identity on a replica. */
export const STATE = script(`${COMMON}
  local now = identity()
  local state = 'unchecked'
  if redis.call('HGET', KEYS[1], 'lost') then state = 'lost'
  elseif redis.call('HGET', KEYS[1], 'identity') == now then state = 'sound' end
  return {now or '', state}`)

/** KEYS: sound, markers. ARGV: identity, marker, first and last offset. → {outcome, marker} */
export const CONFIRM = script(`${COMMON}
  if identity() ~= ARGV[1] then return {'changed'} end
  if redis.call('HGET', KEYS[1], 'lost') then return {'lost'} end
  local marker = redis.call('HGET', KEYS[2], ARGV[2]) or '-1'
  if tonumber(marker) < ARGV[3] - 1 then return {'gap', marker} end
  -- Written even where it stays the same: the replicas' confirmation is of this connection's last write.
  if tonumber(marker) < tonumber(ARGV[4]) then marker = ARGV[4] end
  redis.call('HSET', KEYS[2], ARGV[2], marker)
  return {'confirmed', marker}`)

/** KEYS: sound. ARGV: identity. → 1 where it is still so and nothing was found lost */
export const DECLARE_SOUND = script(`${COMMON}
  if identity() ~= ARGV[1] or redis.call('HGET', KEYS[1], 'lost') then return 0 end
  redis.call('HSET', KEYS[1], 'identity', ARGV[1])
  return 1`)

/** KEYS: sound. */
export const DECLARE_LOST = script(`
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'lost', '1')`)
