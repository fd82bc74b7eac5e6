// Texts of a device's update: [Chinese, English].

import { words } from "./book.js";

words({
  update: ["升级", "Update"],
  upToDate: ["没有可用的新版本", "No newer version is offered"],
  upToDateHint: ["在“策略”页发布一个包含此设备版本和批次的策略。", "Publish a strategy that covers this device's version and batch on the Strategies page."],
  offered: ["可升级到 {version}（当前 {running}）", "{version} is offered (running {running})"],
  order: ["升级到 {version}", "Update to {version}"],
  ordered: ["已下达升级", "Update ordered"],
  cancelUpdate: ["取消升级", "Cancel the update"],
  cancelUpdateTitle: ["取消这次升级？", "Cancel this update?"],
  cancelUpdateText: ["设备在线时由设备决定：已切换到新版本就不能取消。设备离线时任务在云端结束。", "A device that is online decides: once it switches to the new version it is too late. If it is offline, the task ends in the cloud."],
  keepUpdate: ["继续升级", "Keep updating"],
  updateCancelled: ["升级已取消", "Update cancelled"],
  updateCancelling: ["设备正在取消升级", "The device gives the update up"],
  updateTo: ["升级到 {version}", "Update to {version}"],
  progress: ["升级进度", "Update progress"],
  eventLog: ["事件日志", "Event log"],
  trialLog: ["新版本最后的日志", "What the new version logged last"],
  "waiting.queued": ["设备离线：上线后开始升级。", "The device is offline: the update starts when it is online."],
  "waiting.halted": ["设备离线：上线后从中断处继续。", "The device is offline: it goes on from where it was when it is online."],
  "waiting.trial": ["设备在试运行 {version}：几分钟内确认，否则回到旧版本。", "The device tries {version}: within minutes it confirms it or goes back to the version before."],
  "waiting.stuck": ["{time} 已安装 {version}，早该确认或退回，却没有消息。请看设备是否开机、联网；重新启动后它会自己退回旧版本。", "It installed {version} at {time}, and should have confirmed it or gone back since. See whether it is on and has a network; after some restarts it goes back by itself."],
  failure: ["失败原因：{text}", "Failed: {text}"],
  "status.CREATED": ["已创建", "Created"],
  "status.RUNNING": ["进行中", "Running"],
  "status.INSTALLED": ["已安装", "Installed"],
  "status.SUCCESS": ["成功", "Success"],
  "status.FAILED": ["失败", "Failed"],
});
