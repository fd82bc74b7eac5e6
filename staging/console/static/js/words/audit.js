// Texts of the audit log: [Chinese, English].

import { words } from "./book.js";

words({
  auditLead: ["谁在何时对哪台设备做了什么；不含内容、语音和令牌。", "Who did what to which device, and when. It has no content, no voice and no tokens."],
  auditDevice: ["设备 UUID", "Uuid of a device"],
  auditActor: ["用户", "User"],
  action: ["动作", "What"],
  source: ["来源", "From"],
  target: ["对象", "To"],
  outcome: ["结果", "Outcome"],
  "outcome.done": ["完成", "done"],
  "from.console": ["控制台", "console"],
  "from.api": ["开放接口", "open API"],
  "from.command": ["命令行", "command line"],
  "from.upgrade": ["版本升级", "upgrade"],
  saveCsv: ["保存为 CSV", "Save as CSV"],
  noEntries: ["没有记录", "No entries"],
  noEntriesHint: ["换一个条件。", "Try other words."],
  show: ["查看", "Show"],
});
