// Texts of the list of devices: [Chinese, English].

import { words } from "./book.js";

words({
  devicesLead: ["在线状态、版本、电量和音量会自己更新。", "Presence, version, battery and volume keep themselves up to date."],
  search: ["按 UUID 或名称查找", "Find by uuid or name"],
  noDevices: ["还没有设备", "No devices yet"],
  noDevicesHint: ["在“产品”页新建产品或批次，即可得到测试设备；再把配置文件烧入设备。", "Make a product or a batch on the Products page to get test devices, then flash a profile."],
  noMatch: ["没有匹配的设备", "No device matches"],
  noMatchHint: ["换一个关键词，或清空查找框。", "Try another word, or clear the search."],
  shownOf: ["显示 {shown} / {total} 台", "{shown} of {total} shown"],
});
