"""What data points, settings and recordings expect, in Chinese, for `agent.words.causes`.

Each text stands in English where it is made, behind "expected"; what a person types stays as it is typed.
"""

from __future__ import annotations

EXACT: dict[str, tuple[str, str]] = {
    '"true" or "false"': (' "true" 或 "false"', ""),
    'off, or clauses such as "quiet 20:30-06:30; daily 60; bonus 15; then finish; tonight 22:00-07:00"': (
        ' off，或如 "quiet 20:30-06:30; daily 60; bonus 15; then finish; tonight 22:00-07:00" 的规则', ""),
    'off, or clauses such as "quiet 20:30-06:30; daily 20; bonus 5"': (
       ' off，或如 "quiet 20:30-06:30; daily 20; bonus 5" 的规则', ""),
    "the child lock is on, expected an order from the family's app": ("童锁已打开，只接受家里应用的命令", ""),
    "the address is not allowed or does not answer": ("这个地址不允许访问，或没有回应", ""),
    "the name of a title or folder, or a URL": ("标题、文件夹的名字，或网址", ""),
    "a zone of the time zone database such as Asia/Shanghai": ("时区数据库里的时区，例如 Asia/Shanghai", ""),
    "a day such as 2031-12-31": ("如 2031-12-31 的日期", ""),
    'two local times such as "02:00-05:00"': ('如 "02:00-05:00" 的两个当地时间', ""),
    'a network such as "192.168.1.0/24"': ('如 "192.168.1.0/24" 的网段', ""),
    'a list of networks such as ["192.168.1.0/24"]': ('如 ["192.168.1.0/24"] 的网段列表', ""),
    "two or more volts:percent of one cell, both rising, such as 3.0:0 3.7:40 4.2:100": (
        "一节电池的两个以上“电压:百分比”，都递增，例如 3.0:0 3.7:40 4.2:100", ""),
    "the name of a folder in /sys/class/leds": (" /sys/class/leds 里一个文件夹的名字", ""),
    "buttons of this machine, joined by +": ("这台机器有的按键，用 + 连接", ""),
    "two buttons or more, as volume_down+next: a child leans on one": (
        "两个以上按键，如 volume_down+next：一个孩子会靠着按到", ""),
    "link.client_certificate beside it, or no key": ("同时设 link.client_certificate，或不设这个密钥", ""),
    "an http(s) URL without user and password": ("不含用户名和密码的 http(s) 地址", ""),
    "at least one sample": ("至少一个采样", ""),
    "PCM of 8, 16, 24 or 32 bit, float of 32 or 64 bit, A-law or mu-law": (
        " 8、16、24 或 32 位的 PCM，32 或 64 位的浮点，A-law 或 mu-law", ""),
    "PCM or float": (" PCM 或浮点", ""),
    "it is cut short": ("文件不完整", ""),
    "it does not begin with RIFF": ("开头不是 RIFF", ""),
    "it has no fmt chunk before its data": ("数据前面没有 fmt 块", ""),
    "it has no data chunk": ("没有 data 块", ""),
    "it has no fmt chunk": ("没有 fmt 块", ""),
    "its fmt chunk is cut short": ("fmt 块不完整", ""),
    "its extensible fmt chunk is cut short": ("扩展的 fmt 块不完整", ""),
    "a number too large": ("数太大", ""),
    "a number of too many digits": ("有一个数的位数太多", ""),
    "nested too deep": ("层次太深", ""),
}  # fmt: skip

PATTERNS: tuple[tuple[str, str, str], ...] = (
    (r'("HH:MM-HH:MM max=\S+), as (.+), or ("off")', " {0}，如 {1}，或 {2}", ""),
    (r'("off"), minutes from (\d+) to (\d+), ("end"), ("after N") with N from (\d+) to (\d+), or ("at HH:MM")',
     " {0}、{1} 到 {2} 分钟、{3}、{4}（N 为 {5} 到 {6}）或 {7}", ""),
    (r"some of (max=\S+), (min=\S+) and (start=\S+) or (start=last), with (.+), as (.+)",
     " {0}、{1}、{2} 或 {3} 中的几个，并且 {4}，如 {5}", ""),
    (r"an object like (.+)", "如 {0} 的对象", ""),
    (r"an object with one of (.+)", "一个对象，含以下之一：{0}", ""),
    (r"a name, or a list of (\d+) to (\d+) names", "一个名字，或 {0} 到 {1} 个名字的列表", ""),
    (r"(.+): no such data point", "没有数据点 {0}", ""),
    (r"got (.+?), expected (.+)", "得到 {0}，应为{1!}", ""),
    (r"another (line|port) than (\S+)", "与 {1} 不同的号码", ""),
    (r"less than the first warning's (\d+), or 0", "小于第一次警告的 {0}，或 0", ""),
    (r"0, or a chip's address from (\S+) to (\S+): I2C reserves the others",
     " 0，或芯片地址 {0} 到 {1}：其余由 I2C 保留", ""),
    (r"(\d+) to (\d+) letters", " {0} 到 {1} 个字", ""),
    (r"(\d+) to (\d+) samples/s", " {0} 到 {1} 次采样每秒", ""),
    (r"it is (.+)", "它是 {0}", ""),
    (r"its RIFF is (.+), not WAVE", "它的 RIFF 是 {0}，不是 WAVE", ""),
    (r"its chunk (.+) is cut short", "它的 {0} 块不完整", ""),
    (r"WAV data: got (\d+), expected the (\d+) bytes that its header promises",
     "WAV 文件的 data：得到 {0} 字节，文件头说有 {1} 字节", ""),
    (r"not usable JSON \((.+)\)", "不能用的 JSON（{0!}）", ""),
    (r"(\S+) is no number", "{0} 不是数", ""),
    (r"nested deeper than (\d+) levels", "层次超过 {0} 层", ""),
)  # fmt: skip
