// Texts of the charts: [Chinese, English].

import { words } from "./book.js";

words({
  history: ["历史", "History"],
  range: ["时间范围", "Time range"],
  "range.1": ["1 小时", "1 hour"],
  "range.24": ["24 小时", "24 hours"],
  "range.168": ["7 天", "7 days"],
  "range.720": ["30 天", "30 days"],
  noHistory: ["这段时间没有数据", "No values in this time"],
  noHistoryHint: ["换一个更长的时间范围，或等设备上报。", "Choose a longer range, or wait for the device to report."],
  chartOf: ["{name}：从 {low} 到 {high}，最新 {last}", "{name}: from {low} to {high}, latest {last}"],
  asTable: ["以表格查看（{n} 行）", "As a table ({n} rows)"],
});
