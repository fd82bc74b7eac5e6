// Texts of the wire log: [Chinese, English].

import { words } from "./book.js";

words({
  wire: ["报文", "Wire log"],
  wireLead: ["设备与云端之间的每一帧，十六进制和解码，密钥不显示。", "Every frame between the device and the cloud, as hex and decoded, without secrets."],
  wireWatch: ["开始看", "Watch"],
  wireStop: ["停止", "Stop"],
  wireKeep: ["保留一小时", "Keep for an hour"],
  wireKept: ["会保留 {seconds} 秒", "Kept for {seconds} s"],
  wireSave: ["下载（可重放）", "Download, to be replayed"],
  wireNothing: ["还没有报文。MQTT 设备的报文只在 serve --bench-faults 时可见。", "No frames yet. Those of MQTT devices are seen with serve --bench-faults alone."],
  wireUp: ["设备 → 云端", "device → cloud"],
  wireDown: ["云端 → 设备", "cloud → device"],
  wireMalformed: ["格式错误：{problem}", "Malformed: {problem}"],
  wireUnproven: ["身份未证实", "not proven"],
  wireBytes: ["{size} 字节", "{size} bytes"],
  wireDropped: ["{count} 条旧报文让了位", "{count} older frames made room"],
});
