// Texts of the products and batches: [Chinese, English].

import { words } from "./book.js";

words({
  productsLead: ["新建产品会得到测试设备；批次用来获得更多设备。", "A new product comes with test devices; batches bring more."],
  room: ["数据占用 {used}，数据目录所在磁盘还剩 {free}。", "The data takes {used}; the data folder's disk has {free} left."],
  newProduct: ["新建产品", "New product"],
  productName: ["产品名称", "Product name"],
  noTemplate: ["不使用模板", "No template"],
  testDevices: ["测试设备数", "Test devices"],
  productAdded: ["产品已创建", "Product made"],
  setUp: ["数据点和 APP", "Data points and apps"],
  profile: ["烧录配置", "Profile"],
  profileOf: ["下载 {uuid} 的烧录配置", "Download the profile of {uuid}"],
  profileSaved: ["配置已下载，不能再次下载；其中含设备令牌，请妥善保管", "Profile downloaded, which is possible once; it holds the device's token, keep it safe"],
  madeDevices: ["新设备：{product}，批次 {batch}", "New devices: {product}, batch {batch}"],
  madeOnce: ["绑定令牌和烧录配置只在这里显示这一次，离开此页后无法再看。请现在保存。", "Bind tokens and profiles are shown here once and not after you leave this page. Save them now."],
  saveTokens: ["保存绑定令牌", "Save the bind tokens"],
  issuedAt: ["已于 {time} 发放", "handed out {time}"],
  notIssued: ["未发放", "not handed out"],
  newBatch: ["新建批次", "New batch"],
  batchName: ["批次号", "Batch name"],
  count: ["数量", "Count"],
  batchAdded: ["批次已创建", "Batch made"],
  showDevices: ["查看设备", "Show devices"],
  devicesOf: ["{product}，批次 {batch} 的设备", "Devices of {product}, batch {batch}"],
  inTheList: ["在设备列表中查看", "Show in the device list"],
  close: ["关闭", "Close"],
  firstShown: ["只显示前 {n} 台", "The first {n} are shown"],
});
