// Texts of the list of devices: [Chinese, English].

import { words } from "./book.js";

words({
  devicesLead: ["在线状态、版本、电量和音量会自己更新。", "Presence, version, battery and volume keep themselves up to date."],
  search: ["查找 UUID、名称、标签、版本、批次、产品", "Find by uuid, name, tag, version, batch or product"],
  noDevices: ["还没有设备", "No devices yet"],
  noDevicesHint: ["在“产品”页新建产品或批次，即可得到测试设备；再把配置文件烧入设备。", "Make a product or a batch on the Products page to get test devices, then flash a profile."],
});
