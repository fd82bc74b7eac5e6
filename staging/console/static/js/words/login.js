// Texts of the log-in: [Chinese, English].

import { words } from "./book.js";

words({
  logIn: ["登录", "Log in"],
  logInLead: ["测试员和管理员的账号由管理员在“账号”页创建，或用 story-cloud account add NAME --role tester。", "For testers and operators. An operator makes accounts on the Accounts page, or by story-cloud account add NAME --role tester."],
});
