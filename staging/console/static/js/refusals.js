// The cloud's refusals in Chinese: it says in English which field has which value, and what was expected.

const FIELD = /^([^\s:]+): (?:got (.+)|missing), expected (.+)$/s;

// What a field is called on the page; others keep the name that the cloud and the commands have for them.
const NAMES = {
  name: "名称", batch: "批次号", version: "版本", count: "数量", token: "绑定令牌", label: "显示名称", description: "说明",
  from: "旧版本", batches: "批次", password: "密码", role: "角色", uuid: "UUID", method: "操作", text: "内容", package: "固件包",
  "pattern.min": "最小", "pattern.max": "最大", "pattern.step": "步长", redirect_uri: "回调地址", web_origin: "网页来源",
};

const EXPECTED = [
  [/^(\d+) to (\d+) printable characters$/, (low, high) => `${low} 到 ${high} 个可显示的字符${low === "0" ? "" : "，不能全是空白"}`],
  [/^(\d+) to (\d+) characters$/, (low, high) => `${low} 到 ${high} 个字符`],
  [/^(\d+) to (\d+) devices$/, (low, high) => `${low} 到 ${high} 台设备`],
  [/^1 to 64 letters, digits, - and _, of which the first is a letter$/, () => "1 到 64 个字母、数字、- 或 _，以字母开头"],
  [/^printable characters$/, () => "可显示的字符"],
  [/^printable ASCII without blanks$/, () => "不含空格的 ASCII 字符"],
  [/^text of at most (\d+) characters$/, (high) => `至多 ${high} 个字符的文本`],
  [/^(\d+) hexadecimal digits$/, (digits) => `${digits} 位十六进制`],
  [/^(?:an id, )?a whole number$/, () => "整数"],
  [/^an integer from (\S+) to (\S+)$/, (low, high) => `${low} 到 ${high} 的整数`],
  [/^an integer of at least (\S+)$/, (low) => `至少为 ${low} 的整数`],
  [/^an integer of 64 bits$/, () => "64 位整数"],
  [/^at least pattern\.min, which is (\S+)$/, (low) => `不小于最小值 ${low}`],
  [/^a version such as .*$/, () => "用点分隔的数字，如 1.2.0"],
  [/^a list of GET, PUT$/, () => "读取和设置中至少一项"],
  [/^one of (.+)$/, (names) => `以下之一：${names}`],
  [/^a file that is not empty$/, () => "非空的文件"],
  [/^the id of a product$/, () => "一个产品"],
  [/^letters of any script and digits, .*$/, () => "文字和数字，之间可有单个空格、点、横线或下划线，至多 64 个字符（汉字 25 个），不能是 root、targets、snapshot、timestamp"],
  [/^an http\(s\) URL, or a URI of an app's own scheme .*$/, () => "http(s) 地址，或 APP 自己的协议地址如 com.example:/x，不含 #"],
  [/^https:\/\/HOST or https:\/\/HOST:PORT; .*$/, () => "https 加主机名（可加端口）；http 只限 localhost 和 127.0.0.1"],
  [/^at most (\d+) of one app$/, (high) => `每个 APP 至多 ${high} 个`],
];
const WHOLE = [
  [/^batch (.+): the product has one already$/, (name) => `批次 ${name} 已存在`],
  [/^product (.+): there is one already$/, (name) => `产品 ${name} 已存在`],
  [/^account (.+): there is one already$/, (name) => `账号 ${name} 已存在`],
  [/^data point (.+): the product has one already$/, (name) => `数据点 ${name} 已存在`],
  [/^data points: a product has at most (\d+)$/, (high) => `每个产品至多 ${high} 个数据点`],
  [/^(\w+) (.+): there is none$/, (kind, name) => `没有这个对象：${kind} ${name}`],
  [/^app \S+: this is its secret already, expected another identity$/, () => "密钥没有变化，请换一个包名或签名"],
  [/^package \S+: it is not of the product of device (\S+)$/, (uuid) => `设备 ${uuid} 不属于这个版本的产品`],
  [/^package \S+: it is verified already$/, () => "这个版本已通过验证"],
  [/^package \S+: no device that verified it reports SUCCESS$/, () => "还没有设备验证成功"],
  [/^device (\S+): device is running to update: .*$/, (uuid) => `设备 ${uuid} 正在升级`],
  [/^device (\S+): device version is higher than package version: .*$/, (uuid) => `设备 ${uuid} 的版本不低于这个版本`],
  [/^version (\S+): it is \S+, expected a verified one$/, (version) => `版本 ${version} 还没有通过验证`],
];

/** Return a refusal in Chinese; what is not known stays as it is. */
export function inChinese(message) {
  const field = FIELD.exec(message);
  if (field) {
    const [, name, got, expected] = field;
    return `${NAMES[name] ?? name}：${got === undefined ? "没有填写" : `得到 ${got}`}，应为${known(EXPECTED, expected) ?? ` ${expected}`}`;
  }
  return known(WHOLE, message) ?? message;
}

function known(table, text) {
  for (const [pattern, say] of table) {
    const match = pattern.exec(text);
    if (match) return say(...match.slice(1));
  }
  return null;
}
