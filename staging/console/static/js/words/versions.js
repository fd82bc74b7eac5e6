// Texts of the versions: [Chinese, English].

import { words } from "./book.js";

words({
  versionsLead: ["上传固件包，在一台设备上验证，通过后才能用于策略。", "Upload a package, verify it on one device, pass it; only then a strategy can offer it."],
  newVersion: ["添加版本", "Add a version"],
  versionHint: ["如 1.2.0，必须高于现有版本", "Such as 1.2.0, higher than any there is"],
  package: ["固件包", "Package"],
  upload: ["上传并签名", "Upload and sign"],
  uploading: ["上传中 {percent}", "Uploading {percent}"],
  signing: ["签名中…", "Signing…"],
  uploaded: ["版本 {version} 已添加", "Version {version} added"],
  noVersions: ["还没有版本", "No versions yet"],
  noVersionsHint: ["用 story-release build 生成固件包，再在上面上传。", "Build a package with story-release build, then upload it above."],
  size: ["大小", "Size"],
  "package.UNVERIFIED": ["待验证", "Unverified"],
  "package.RELEASED": ["已通过", "Released"],
  "package.RELEASED_DAMAGED": ["已通过，文件已损坏，暂不提供", "Released, its file is damaged: not offered"],
  "package.UNVERIFIED_DAMAGED": ["待验证，文件已损坏", "Unverified, its file is damaged"],
  verify: ["立马验证", "Verify now"],
  verifyOn: ["验证设备的 UUID", "Uuid of the device to verify on"],
  verifyHint: ["研发中的设备（version 0）或你自己绑定的设备", "A device under development (version 0), or one that you have bound"],
  verifyStarted: ["已向设备下达验证升级", "The device was ordered to verify it"],
  pass: ["通过验证", "Pass"],
  passHint: ["至少一台设备验证成功后可以通过。", "It can pass once a device reports success."],
  passed: ["版本已通过", "Version passed"],
  verifications: ["验证", "Verifications"],
  added: ["添加时间", "Added"],
});
