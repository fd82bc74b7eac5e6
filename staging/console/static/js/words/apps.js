// Texts of the apps: [Chinese, English].

import { words } from "./book.js";

words({
  appsLead: ["APP 用 AK 和密钥签名来访问开放接口；在产品页绑定产品。", "Apps sign their requests with key and secret; bind them on a product's page."],
  newApp: ["新建 APP", "New app"],
  appName: ["名称", "App name"],
  appType: ["类型", "Type"],
  "appPart.package": ["包名", "Package name"],
  "appPart.apkSignature": ["APK 签名", "APK signature"],
  "appPart.bundleId": ["Bundle ID", "Bundle id"],
  redirectUris: ["回调地址", "Redirect addresses"],
  redirectHint: ["每行一个；留空使用文档中的地址", "One a line; empty: the document's"],
  scopes: ["权限范围", "Scopes"],
  scopesHint: ["不选表示全部", "None chosen: everything"],
  appAdded: ["APP {name} 已创建", "App {name} made"],
  noApps: ["还没有 APP", "No apps yet"],
  noAppsHint: ["新建一个，即可得到 appId、AK 和密钥。", "Make one to get its appId, key and secret."],
  webOrigins: ["可调用接口的网页来源（{n}）", "Web pages that may call the API ({n})"],
  webOrigin: ["网页来源", "Origin of a web page"],
  originExample: ["https 加主机名", "https and a host"],
  webOriginsHint: ["浏览器只让这些来源的网页代表此 APP 调用接口（CORS）；手机 APP 和服务器不受影响。", "Browsers let only pages of these origins call the API for this app (CORS); phones' apps and servers are not affected."],
  originsSaved: ["{name}：网页来源已保存", "{name}: origins saved"],
  renewSecret: ["更换密钥", "Renew the secret"],
  renewSecretTitle: ["更换 {name} 的密钥？", "Renew the secret of {name}?"],
  renewSecretText: ["旧密钥立即失效，用它签名的 APP 将被拒绝。新密钥只显示这一次。", "The old one ends at once, and apps that sign with it are refused. The new one is shown once."],
});
