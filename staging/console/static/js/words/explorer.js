// Texts of the explorer of the open API: [Chinese, English].

import { words } from "./book.js";

words({
  explorerLead: ["选择 APP、用户和接口，查看签名原文、请求和应答。密钥和令牌只留在本页。", "Choose app, user and endpoint; see what is signed, the request and its answer. Secrets and tokens stay in this page."],
  whoAsks: ["谁来请求", "Who asks"],
  secretHint: ["创建 APP 时显示过一次；只留在本页。", "It was shown when the app was made; it stays in this page."],
  accessToken: ["access_token", "access_token"],
  tokenHint: ["用户授权后 APP 得到的令牌。", "What an app gets by a user's consent."],
  ownToken: ["为我自己取一个令牌", "Get a token for myself"],
  tokenOf: ["用户：{name}", "User: {name}"],
  whatIsAsked: ["请求什么", "What is asked"],
  endpoint: ["接口", "Endpoint"],
  optional: ["{name}（可选）", "{name} (optional)"],
  body: ["请求体（JSON）", "Body (JSON)"],
  notJson: ["请求体不是 JSON", "The body is no JSON"],
  request: ["请求", "Request"],
  send: ["发送", "Send"],
  answer: ["应答", "Answer"],
  notSent: ["（还没有发送）", "(not sent yet)"],
  showSecrets: ["显示密钥和令牌", "Show secret and token"],
  signatureBase: ["签名原文", "What is signed"],
  signatureHint: ["nonce、apikey、secret、token 依次相连；SHA-1 后与 nonce 一起放进 X-IOT-Signature。每个 nonce 只能用一次。", "nonce, apikey, secret and token joined; its SHA-1 follows the nonce in X-IOT-Signature. A nonce is good for one request."],
  headers: ["请求头", "Headers"],
  curl: ["curl", "curl"],
  python: ["Python", "Python"],
  javascript: ["JavaScript", "JavaScript"],
  codes: ["错误码", "Error codes"],
  codesHint: ["点一个错误码，发送一个会得到它的请求。所用的 APP、设备和账号都名为 api-explorer，不涉及他人的设备。", "Each sends a request that is answered with it. App, devices and accounts of these requests are all named api-explorer: nobody's own are touched."],
  "code.0": ["成功", "success"],
  "code.426": ["令牌已过期", "the token has expired"],
});
