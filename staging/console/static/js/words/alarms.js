// Texts of alarms: [Chinese, English].

import { words } from "./book.js";

words({
  "alarm.offline": ["长时间离线", "Offline for long"],
  "alarm.version": ["升级到此版本经常失败", "Updates to it fail"],
  "alarm.battery": ["电量低", "Battery low"],
  "alarm.clone": ["身份被复制", "Identity copied"],
  "alarm.open": ["未处理", "Open"],
  "alarm.acknowledged": ["{by} 已确认", "Seen by {by}"],
  "alarm.ended": ["已结束", "Ended"],
  "alarm.since": ["自 {time}", "since {time}"],
  "alarm.ack": ["确认", "Acknowledge"],
  "alarm.none": ["没有告警", "No alarms"],
  "alarm.percent": ["{percent}%", "{percent}%"],
  "alarm.noneHint": ["何时告警、通知谁，见“告警与 Webhook”。", "When they begin, and who is told, is on the page of alarms and webhooks."],
});
