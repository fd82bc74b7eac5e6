// Texts of the accounts: [Chinese, English].

import { words } from "./book.js";

words({
  accountsLead: ["家长：授权页和开放接口。测试员：研发中的设备和自己绑定的设备。管理员：还有产品、版本、策略和账号。", "Parents have the consent page and the open API. Testers have devices under development and their own. Operators also have products, versions, strategies and accounts."],
  newAccount: ["新建账号", "New account"],
  role: ["角色", "Role"],
  accountAdded: ["账号 {name} 已创建", "Account {name} made"],
  accountPassword: ["{name} 的密码", "Password of {name}"],
  "account.ENABLE": ["可用", "Enabled"],
  "account.DISABLE": ["已停用", "Disabled"],
  noLogIn: ["没有密码", "No password"],
  you: ["你", "you"],
  disable: ["停用", "Disable"],
  enable: ["启用", "Enable"],
  disableTitle: ["停用 {name}？", "Disable {name}?"],
  disableText: ["此账号立即退出，不能登录，其 APP 也不能再访问。", "It is logged out at once and cannot log in, and its apps are refused."],
  newPassword: ["新密码", "New password"],
  newPasswordTitle: ["更换 {name} 的密码？", "Give {name} a new password?"],
  newPasswordText: ["会话和 APP 令牌立即失效；新密码只显示这一次。", "Its sessions and apps' tokens end at once. The new password is shown once."],
  endSessions: ["结束会话", "End sessions"],
  endTokens: ["收回令牌", "Take tokens back"],
  endTokensTitle: ["收回 {name} 的所有令牌？", "Take back all tokens of {name}?"],
  endTokensText: ["代表此账号的 APP 需要重新授权。", "Apps that act for it need a new consent."],
  accountChanged: ["{name}：已保存", "{name}: done"],
  actions: ["操作", "Actions"],
});
