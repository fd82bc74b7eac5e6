// Texts of one's own account: [Chinese, English].

import { words } from "./book.js";

words({
  meLead: ["你以 {name}（{role}）的身份登录。", "You are logged in as {name} ({role})."],
  changePassword: ["修改密码", "Change the password"],
  oldPassword: ["当前密码", "Present password"],
  newOwnPassword: ["新密码", "New password"],
  newPasswordAgain: ["再输一次新密码", "New password again"],
  passwordHint: ["8 到 256 个字符。修改后你的其他会话和 APP 令牌失效。", "8 to 256 characters. Your other sessions and your apps' tokens end."],
  passwordsDiffer: ["两次输入的新密码不同", "The two new passwords differ"],
  passwordChanged: ["密码已修改，其他会话已结束", "The password is changed, and your other sessions have ended"],
});
