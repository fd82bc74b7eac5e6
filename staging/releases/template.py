"""The default product, whose data points stand in for a missing self-description.

The four data points are those of the open API document's example (section 3.1), verbatim.
"""

from __future__ import annotations

from wire.datapoints import DataPointDescription, DataType, Method, Range, self_description

PRODUCT_NAME = "story-machine"
BATCH_NAME = "0000"
FIRST_VERSION = "0.0.0.0"  # noqa: S104  # a version, the document's osVersion of a new device
SERIES_NAME = "故事机"

_BOTH = (Method.GET, Method.PUT)

DATA_POINTS = self_description(
    [
        DataPointDescription(
            name="play",
            type=DataType.STRING,
            label="播放内容",
            description="可通过“播放儿歌”“播放春天在哪里”“上一首”“下一首”等语音指令控制播放内容",
            methods=_BOTH,
            pattern={},
            resource_type="voice",
        ),
        DataPointDescription(
            name="volume",
            type=DataType.INT,
            label="音量",
            description="可通过“调高音量”“调低音量”等语音指令调节设备音量",
            methods=_BOTH,
            pattern=Range(0, 16),
            resource_type="voice",
        ),
        DataPointDescription(
            name="switch",
            type=DataType.BOOL,
            label="关机",
            description="关闭设备",
            methods=_BOTH,
        ),
        DataPointDescription(
            name="power",
            type=DataType.INT,
            label="电量",
            description="查询电量",
            methods=(Method.GET,),
            pattern=Range(0, 100),
        ),
    ]
)
