// Texts of the events that a device reports of an update, by their numbers: [Chinese, English].

import { words } from "./book.js";

words({
  "event.0": ["开始", "Begun"],
  "event.1": ["连接不上下载服务器", "The server of the package cannot be reached"],
  "event.2": ["下载时断线", "The connection was lost"],
  "event.3": ["下载超时", "Timed out"],
  "event.4": ["下载中", "Downloading"],
  "event.5": ["下载完成", "Downloaded"],
  "event.6": ["下载失败", "The download failed"],
  "event.7": ["安装中", "Installing"],
  "event.8": ["固件包或签名无效", "The package or its signature is not valid"],
  "event.9": ["写入失败", "Writing failed"],
  "event.10": ["已安装并确认", "Installed and confirmed"],
  "event.11": ["安装包已删除", "The package was deleted"],
  "event.12": ["设备拒绝", "The device refused it"],
  "event.30": ["解包失败", "Unpacking failed"],
  "event.31": ["校验失败", "The checksum is wrong"],
  "event.32": ["擦除闪存失败", "Erasing the flash failed"],
  "event.33": ["引导程序：写入失败", "Boot loader: writing failed"],
  "event.34": ["引导程序：校验失败", "Boot loader: the checksum is wrong"],
  "event.35": ["引导程序：镜像无效", "Boot loader: the image is not valid"],
  "event.36": ["引导程序：版本错误", "Boot loader: wrong version"],
  "event.37": ["引导程序：解包失败", "Boot loader: unpacking failed"],
  "event.38": ["引导程序：擦除失败", "Boot loader: erasing failed"],
  "event.other": ["事件 {n}", "Event {n}"],
  orderTaken: ["设备接受了升级命令", "The device took the order"],
  orderRefused: ["设备拒绝了升级命令：{text}", "The device refused the order: {text}"],
  "failed.cancelled": ["已取消", "Cancelled"],
  "failed.refused": ["设备拒绝了升级命令", "The device refused the order"],
});
