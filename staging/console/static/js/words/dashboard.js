// Texts of the dashboard: [Chinese, English].

import { words } from "./book.js";
import "./alarms.js";

words({
  dashboardLead: ["多少设备在线，什么不正常，各版本和批次的状况。", "How many are online, what is wrong, and how versions and batches do."],
  "dash.online": ["在线", "Online"],
  "dash.devices": ["设备", "Devices"],
  "dash.updating": ["升级中", "Updating"],
  "dash.alarms": ["未结束的告警", "Open alarms"],
  "dash.webhooks": ["告警设置与 Webhook", "When, and who is told"],
  "dash.over": ["在线数量", "Online over time"],
  "dash.noSamples": ["还没有数据：每分钟记录一次。", "Nothing yet: it is noted once a minute."],
  "dash.hours": ["时间段", "Time"],
  "dash.hours.1": ["1 小时", "1 hour"],
  "dash.hours.6": ["6 小时", "6 hours"],
  "dash.hours.24": ["24 小时", "24 hours"],
  "dash.hours.168": ["7 天", "7 days"],
  "dash.versions": ["各版本", "By version"],
  "dash.batches": ["各批次", "By batch"],
  "dash.name": ["名称", "Name"],
  "dash.linkUp": ["在线时间占比", "Time connected"],
  "dash.crashes": ["崩溃", "Crashes"],
  "dash.crashFree": ["每次崩溃的在线小时", "Hours per crash"],
  "dash.plays": ["播放（失败）", "Plays (failed)"],
  "dash.press": ["按键到回答", "Press to answer"],
  "dash.updates": ["升级成功/失败", "Updates good/failed"],
  "dash.bytes": ["升级下载", "Downloaded"],
  "dash.listening": ["哪些听得不好", "What listens badly"],
  "dash.listensWell": ["这段时间里，麦克风、上传和理解都没有问题，或没有人对机器说话。", "In this time no microphone failed, all that was said arrived and was understood, or nobody spoke."],
  "dash.listened": ["聆听次数", "Times of listening"],
  "dash.micFaults": ["麦克风故障", "Microphone failed"],
  "dash.unsent": ["没有任何片段到达", "No segment arrived"],
  "dash.notUnderstood": ["没有听懂", "Not understood"],
  "dash.batchNamed": ["批次 {name}", "batch {name}"],
  "dash.seconds": ["{n} 秒", "{n} s"],
});
