-- Shows the framing of story speakers in Wireshark and tshark (docs/wire-log.md; the format is wire/framing.py's):
-- an 8-byte header, which is the magic 0xBEEFDEAD and the length of what follows, both big-endian, and then one CoAP
-- message in the UDP encoding of RFC 7252, which goes to Wireshark's own dissector.
--
--     wireshark -X lua_script:tools/wireshark/story.lua capture.pcap

local MAGIC = { 0xBE, 0xEF, 0xDE, 0xAD }
local HEADER_SIZE = 8
local LENGTH_MIN, LENGTH_MAX = 4, 16 * 1024
local ONE_MORE_SEGMENT = DESEGMENT_ONE_MORE_SEGMENT or 0x0fffffff

local story = Proto("story", "Story speaker framing")
local magic = ProtoField.uint32("story.magic", "Magic", base.HEX)
local length = ProtoField.uint32("story.length", "Length of the message", base.DEC)
local rest = ProtoField.bytes("story.rest", "Bytes that are no whole frame")
story.fields = { magic, length, rest }

local function fault(name, text)
  return ProtoExpert.new("story." .. name, text, expert.group.MALFORMED, expert.severity.ERROR)
end

local no_magic = fault("no_magic", "No magic: nothing behind it can be told apart")
local bad_length = fault("bad_length", "The length is not from 4 to 16384: nothing behind it can be told apart")
local cut = fault("cut", "The frame's end is not in this capture")
local no_coap = fault("no_coap", "The message is no CoAP")
story.experts = { no_magic, bad_length, cut, no_coap }

-- Whether the bytes from there on begin as the magic does; of fewer than four, those that there are.
local function has_magic(tvb, offset)
  for place = 1, math.min(#MAGIC, tvb:len() - offset) do
    if tvb(offset + place - 1, 1):uint() ~= MAGIC[place] then
      return false
    end
  end
  return true
end

local function show_rest(tvb, tree, offset, problem)
  local branch = tree:add(story, tvb(offset))
  branch:add(rest, tvb(offset)):add_proto_expert_info(problem)
end

local function show_message(tvb, pinfo, tree, offset, size)
  local branch = tree:add(story, tvb(offset, HEADER_SIZE + size))
  branch:add(magic, tvb(offset, 4))
  branch:add(length, tvb(offset + 4, 4))
  branch:append_text(", " .. size .. " bytes")
  local message = tvb(offset + HEADER_SIZE, size):tvb()
  -- A message that cannot be read does not hide those behind it.
  if not pcall(function() Dissector.get("coap"):call(message, pinfo, tree) end) then
    branch:add_proto_expert_info(no_coap)
  end
end

-- Returns the size of the message whose frame begins at the offset, or nil, what is wrong, and how many bytes lack.
local function look(tvb, offset)
  local left = tvb:len() - offset
  if not has_magic(tvb, offset) then
    return nil, no_magic
  elseif left < HEADER_SIZE then
    return nil, cut, ONE_MORE_SEGMENT
  end
  local size = tvb(offset + 4, 4):uint()
  if size < LENGTH_MIN or size > LENGTH_MAX then
    return nil, bad_length
  elseif left < HEADER_SIZE + size then
    return nil, cut, HEADER_SIZE + size - left
  end
  return size
end

-- Dissects what there is of a stream; waits: whether more of it may be asked for.
local function dissect(tvb, pinfo, tree, waits)
  local offset = 0
  while offset < tvb:len() do
    local size, problem, lacking = look(tvb, offset)
    if size == nil then
      if lacking ~= nil and waits and tvb:len() >= tvb:reported_len() then
        pinfo.desegment_offset, pinfo.desegment_len = offset, lacking
      else
        pinfo.cols.protocol = "STORY"
        show_rest(tvb, tree, offset, problem)
      end
      return tvb:len()
    end
    -- Behind a message of the same packet, which may have come by another call, since it was put together.
    if tostring(pinfo.cols.info):find("MID:", 1, true) then
      pinfo.cols.info:append("; ")
      pinfo.cols.info:fence()
    end
    show_message(tvb, pinfo, tree, offset, size)
    pinfo.cols.info:fence()
    pinfo.cols.protocol = "STORY"
    offset = offset + HEADER_SIZE + size
  end
  return tvb:len()
end

function story.dissector(tvb, pinfo, tree)
  local can = pinfo.can_desegment
  return dissect(tvb, pinfo, tree, can ~= 0 and can ~= false)
end

local function is_story(tvb)
  return tvb:len() >= #MAGIC and has_magic(tvb, 0)
end

-- Found by itself from the magic on any port. Over TCP the rest of the connection is the framing's then; inside TLS it
-- is not claimed, since the connection below is TLS's. can_desegment, which each layer counts down, is 0 here although TCP
-- takes what is asked for.
story:register_heuristic("tcp", function(tvb, pinfo, tree)
  if not is_story(tvb) then
    return false
  end
  pinfo.conversation = story
  dissect(tvb, pinfo, tree, true)
  return true
end)

story:register_heuristic("tls", function(tvb, pinfo, tree)
  if not is_story(tvb) then
    return false
  end
  dissect(tvb, pinfo, tree, true)
  return true
end)

-- And by hand: Decode As, or tshark -d tcp.port==9001,story and -d tls.port==9001,story.
DissectorTable.get("tcp.port"):add_for_decode_as(story)
DissectorTable.get("tls.port"):add_for_decode_as(story)
