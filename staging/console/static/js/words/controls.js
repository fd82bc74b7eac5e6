// Texts of a device's controls: [Chinese, English].

import { words } from "./book.js";

words({
  controls: ["控制", "Controls"],
  readAll: ["重新读取", "Read again"],
  noPoints: ["设备没有描述任何数据点", "The device describes no data points"],
  noPointsHint: ["设备上线后会发送自描述。", "It sends its self-description when it comes online."],
  offlineControls: ["设备离线，控制暂不可用。", "The device is offline; controls wait for it."],
  reading: ["读取中…", "Reading…"],
  took: ["完成 · {code} · {ms} 毫秒", "Done · {code} · {ms} ms"],
  playWhat: ["播放内容", "What to play"],
  playHint: ["歌名、文件夹名或 http 地址", "A title, a folder's name or an http address"],
  previous: ["上一首", "Previous"],
  next: ["下一首", "Next"],
  resume: ["继续", "Resume"],
  stop: ["停止", "Stop"],
  playing: ["正在播放", "Now playing"],
  nothing: ["无", "nothing"],
  transport: ["播放控制", "Playback"],
  powerOff: ["关机", "Power off"],
  powerOffTitle: ["让设备关机？", "Power the device off?"],
  powerOffText: ["关机后只能在设备上重新开机。", "It can only be switched on again at the device."],
});
