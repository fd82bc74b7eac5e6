// Texts of a device's head, binding and reports: [Chinese, English].

import { words } from "./book.js";

words({
  bindTitle: ["绑定此设备", "Bind this device"],
  bindLead: ["绑定后才能控制设备、听录音和升级。绑定令牌在新建设备时显示一次，或印在设备上。", "Only a bound device can be controlled, listened to and updated. The bind token is shown once, when the device is made, or on the device."],
  bindTokenHint: ["32 位十六进制", "32 hexadecimal digits"],
  bound: ["已绑定", "Bound"],
  boundToOther: ["此设备已绑定到其他用户：这里只显示状态和版本，不显示语音、内容和令牌。", "This device is bound to somebody else: you see its state and version, and neither voice nor titles nor tokens."],
  twin: ["另一台机器在用同一身份（卡或配置被复制）。请为其中一台写入它自己的配置。", "Another machine uses this identity: its card or profile was copied. Flash one of the two with a profile of its own."],
  renewalWaiting: ["原来的家庭已解除绑定：设备下次连接时换上新的绑定码，之前旧的仍可用（前主人除外）。", "A family has unbound it: the device gets a new bind token when it is connected next. Until then the old one binds, but not for who has gone."],
  renewalCannot: ["原来的家庭已解除绑定，而这个固件不能更换绑定码：知道旧码的人仍能再次绑定。请升级固件或重新烧录身份文件。", "A family has unbound it, and its firmware takes no new bind token: whoever knows the old one can bind it again. Update it, or flash a new profile."],
  tokenDiffers: ["设备出示的绑定令牌与记录不同。", "The device shows a bind token that differs from the record."],
  unbind: ["解除绑定", "Unbind"],
  unbindTitle: ["解除绑定？", "Unbind this device?"],
  unbindText: ["之后需要绑定令牌才能再次绑定。", "Binding it again needs the bind token."],
  unboundDone: ["已解除绑定", "Unbound"],
  rename: ["修改名称", "Rename"],
  renamed: ["名称已保存", "Name saved"],
  reports: ["实时上报", "Live reports"],
  noReports: ["还没有上报", "No reports yet"],
  noReportsHint: ["设备改变数据点或说话时，上报会出现在这里。", "They appear here when the device changes a data point or somebody speaks."],
  voiceSegment: ["语音 {id} · 第 {segment} 段 · {frames} 帧", "utterance {id} · segment {segment} · {frames} frames"],
  voiceEnd: ["语音 {id} · 结束", "utterance {id} · end"],
});
