// Texts of the strategies: [Chinese, English].

import { words } from "./book.js";

words({
  strategiesLead: ["策略决定哪些设备能升级到一个已通过的版本。", "A strategy decides which devices are offered a released version."],
  newStrategy: ["新建策略", "New strategy"],
  newVersionLabel: ["目标版本", "Version to offer"],
  fromVersions: ["旧版本", "From versions"],
  fromHint: ["用逗号分隔；留空表示任何更旧的版本", "Separated by commas; empty: any older one"],
  batchesHint: ["不选表示所有批次", "None chosen: every batch"],
  strategyAdded: ["策略已创建，发布后生效", "Strategy made; publish it to let it take effect"],
  publish: ["发布", "Publish"],
  published: ["策略已发布", "Strategy published"],
  withdraw: ["撤回", "Withdraw"],
  withdrawn: ["策略已撤回", "Strategy withdrawn"],
  publishSilentTitle: ["发布静默策略？", "Publish a silent strategy?"],
  publishSilentText: ["所有符合条件的设备会立即开始升级。", "Every device that it covers begins to update at once."],
  noStrategies: ["还没有策略", "No strategies yet"],
  noStrategiesHint: ["先在“版本”页让一个版本通过验证。", "First let a version pass on the Versions page."],
  noReleased: ["没有已通过的版本", "No version has passed yet"],
  any: ["任意", "any"],
  "strategy.DRAFT": ["草稿", "Draft"],
  "strategy.PUBLISHED": ["已发布", "Published"],
  "strategy.WITHDRAWN": ["已撤回", "Withdrawn"],
});
