// Texts of values that are copied: [Chinese, English].

import { words } from "./book.js";

words({
  shownOnce: ["只显示这一次，请现在保存。", "Shown this once: save it now."],
  copy: ["复制", "Copy"],
  copyNamed: ["复制 {name}", "Copy {name}"],
  copied: ["{name} 已复制", "{name} copied"],
  copyFailed: ["无法复制；内容已选中，请按 Ctrl+C", "It could not be copied; it is selected, press Ctrl+C"],
});
