"""The story machine's four data points, as the open API document describes them (section 3.1).

The device serves these descriptions, and the cloud gives them to its default product. They are
written once because both must agree with the document to the byte.
"""

from __future__ import annotations

from wire.datapoints import DataPointDescription, DataType, Method, Range

_BOTH = (Method.GET, Method.PUT)
# Bytes: signed URLs of shops and podcasts have 1,500 and more; web servers take 4,096 to 8,192.
PLAY_LIMIT = 4096

PLAY = DataPointDescription(
    name="play",
    resource_type="voice",
    type=DataType.STRING,
    label="播放内容",
    description="可通过“播放儿歌”“播放春天在哪里”“上一首”“下一首”等语音指令控制播放内容",
    pattern={},
    methods=_BOTH,
    limit=PLAY_LIMIT,
)
# The document's seventeen steps of volume.
VOLUME_RANGE = Range(0, 16)
VOLUME = DataPointDescription(
    name="volume",
    resource_type="voice",
    type=DataType.INT,
    label="音量",
    description="可通过“调高音量”“调低音量”等语音指令调节设备音量",
    pattern=VOLUME_RANGE,
    methods=_BOTH,
)
SWITCH = DataPointDescription(
    name="switch",
    type=DataType.BOOL,
    label="关机",
    description="关闭设备",
    methods=_BOTH,
)
POWER = DataPointDescription(
    name="power",
    type=DataType.INT,
    label="电量",
    description="查询电量",
    pattern=Range(0, 100),
    methods=(Method.GET,),
)

# The product's own, after the document's four.
PLAYER = DataPointDescription(
    name="player",
    type=DataType.STRING,
    label="播放状态",
    description='正在播放的内容、进度和播放列表（JSON）；设 {"position": 90} 跳到第 90 秒',
    pattern={},
    methods=_BOTH,
)
PLAY_MODE = DataPointDescription(
    name="play_mode",
    type=DataType.STRING,
    label="播放顺序",
    description="“order”顺序播放、“shuffle”随机播放、“repeat-one”单曲循环、“repeat-all”循环播放",
    pattern={},
    methods=_BOTH,
)
SLEEP_TIMER = DataPointDescription(
    name="sleep_timer",
    type=DataType.STRING,
    label="睡眠定时",
    description="可设“20”分钟后停、“at 20:30”到点停、“end”听完这个就停、“after 2”再听两个就停、“off”取消",
    methods=_BOTH,
)
VOLUME_LIMITS = DataPointDescription(
    name="volume_limits",
    type=DataType.STRING,
    label="音量限制",
    description="最大音量、最小音量和开机音量，例如“max=12 min=0 start=6”",
    pattern={},
    methods=_BOTH,
)
NIGHT = DataPointDescription(
    name="night",
    type=DataType.STRING,
    label="夜间音量",
    description="夜间的时段（当地时间）和最大音量，例如“21:00-06:30 max=5”；“off”为关闭",
    pattern={},
    methods=_BOTH,
)
CHILD_LOCK = DataPointDescription(
    name="child_lock",
    type=DataType.BOOL,
    label="童锁",
    description="锁定设备上的按键，只接受家长应用的指令",
    methods=_BOTH,
)
RULES = DataPointDescription(
    name="rules",
    type=DataType.STRING,
    label="家长规则",
    description="如“quiet 20:30-06:30; daily 60; bonus 15; then finish”、“tonight free”、“off”取消",
    methods=_BOTH,
)
MICROPHONE = DataPointDescription(
    name="microphone",
    resource_type="voice",
    type=DataType.BOOL,
    label="麦克风",
    description="设备是否可以聆听",
    methods=_BOTH,
)
LISTENING = DataPointDescription(
    name="listening",
    type=DataType.STRING,
    label="聆听规则",
    description="何时不聆听、每天聆听几分钟，如“quiet 20:30-06:30; daily 20”、“bonus 5”、“off”取消",
    methods=_BOTH,
)

CHARGING = DataPointDescription(
    name="charging",
    type=DataType.BOOL,
    label="外接电源",
    description="查询是否接着电源",
    methods=(Method.GET,),
)

STORY_POINTS = (PLAY, VOLUME, SWITCH, POWER)
"""All four, in the document's order."""
