// Texts of what the list and a device's page say of a device in a word: [Chinese, English].

import { words } from "./book.js";

words({
  presence: ["状态", "Presence"],
  supportEnd: ["支持到", "Supported until"],
  supportOver: ["{day}，已结束", "{day}, which is over"],
  battery: ["电量", "Battery"],
  volume: ["音量", "Volume"],
  heartbeat: ["最近心跳", "Last heartbeat"],
  owner: ["绑定用户", "Bound to"],
  online: ["在线", "Online"],
  quiet: ["在线，{seconds} 秒没有消息", "Online, not heard of for {seconds} s"],
  offline: ["离线", "Offline"],
  unactivated: ["未激活", "Never seen"],
  mine: ["我", "me"],
  unbound: ["未绑定", "nobody"],
  boundToFamily: ["家庭", "a family"],
  boundToTester: ["其他用户", "somebody else"],
  "updating.queued": ["升级到 {version}：排队，上线后开始", "Update to {version} queued: starts when it is online"],
  "updating.ordered": ["升级到 {version}：已下达", "Update to {version} ordered"],
  "updating.running": ["升级中 {percent}", "Updating {percent}"],
  "updating.halted": ["升级中断于 {percent}：上线后继续", "Update halted at {percent}: goes on when it is online"],
  "updating.trial": ["{version} 试运行中", "{version} on trial"],
  "updating.stuck": ["{version} 试运行超时", "{version} stuck in its trial"],
});
