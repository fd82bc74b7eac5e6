// The cloud's refusals in Chinese: it says in English which field has which value, and what was expected.

const FIELD = /^([^\s:]+): (?:got (.+)|missing), expected (.+)$/s;

// What a field is called on the page; others keep the name that the cloud and the commands have for them.
const NAMES = {
  name: "名称", batch: "批次号", version: "版本", count: "数量", token: "绑定令牌", label: "显示名称", description: "说明",
  from: "旧版本", batches: "批次", password: "密码", role: "角色", uuid: "UUID", method: "操作", text: "内容", package: "固件包",
  phases: "阶段", settings: "设置", state: "状态", running: "撤回时", type: "类型", soak: "观察时间（秒）", sample: "样本", success: "成功率（%）",
  link: "在线（%）", hours: "小时", sound: "播放过的设备", open: "同时升级", perMinute: "每分钟开始", failing: "坏版本失败的设备（%）",
  chance: "好版本偶然失败（%）", error: "误停的好版本（%）",
  action: "操作", packageId: "版本", tag: "标签", tags: "标签", uuids: "设备", add: "添加的标签", remove: "去掉的标签", preview: "预览",
  query: "筛选条件", q: "搜索", presence: "在线状态", product: "产品", owner: "归属", update: "升级", sort: "排序", order: "顺序", page: "页码", size: "每页",
  url: "地址", setting: "设置", offline_minutes: "离线（分钟）", battery_percent: "电量（%）", failing_percent: "升级失败（%）",
  failing_updates: "升级次数", clone: "身份被复制",
  "pattern.min": "最小", "pattern.max": "最大", "pattern.step": "步长", redirect_uri: "回调地址", web_origin: "网页来源",
};

const PHASE_FORMS = "，如 10%、batch:批次号 或 tag:标签";
const STATES = { DRAFT: "草稿", PUBLISHED: "已发布", PAUSED: "已暂停", HALTED: "已自动停止", WITHDRAWN: "已撤回" };
const ACTS = { start: "发布", pause: "暂停", resume: "继续", withdraw: "撤回", retry: "重试", open: "开放下一阶段" };
const KINDS = { strategy: "策略", device: "设备", package: "版本", product: "产品", account: "账号", app: "APP", webhook: "Webhook", batch: "批次", alarm: "告警", report: "报告" };

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
  [/^a whole number from (\S+) to (\S+)$/, (low, high) => `${low} 到 ${high} 的整数`],
  [/^a number from (\S+) to (\S+)$/, (low, high) => `${low} 到 ${high} 的数`],
  [/^(\d+) to (\d+) phases$/, (low, high) => `${low} 到 ${high} 个阶段`],
  [/^phases for these settings: .+$/, () => `先写阶段${PHASE_FORMS}`],
  [/^a share such as "10%", .+$/, () => `阶段${PHASE_FORMS}`],
  [/^a share above 0% up to 100%$/, () => "大于 0%、至多 100% 的比例"],
  [/^a share above (\S+)$/, (low) => `大于 ${low} 的比例：后面的阶段更大`],
  [/^(.+) first: it is open$/s, (opened) => `以已开放的阶段 ${opened} 开头`],
  [/^a batch of the strategy: (.+)$/s, (names) => `这个策略的批次之一：${names}`],
  [/^less than failing$/, () => "小于“坏版本失败的设备”"],
  [/^an object with numbers$/, () => "各项设置的数字"],
  [/^a phase after the last one that is open$/, () => "还有没开放的阶段"],
  [/^SILENT: what is PASSIVE its users order again$/, () => "静默升级；需用户确认的升级由用户再次开始"],
  [/^PASSIVE or SILENT$/, () => "PASSIVE（用户确认）或 SILENT（静默）"],
  [/^finish or cancel$/, () => "finish（让它们完成）或 cancel（取消）"],
  [/^([A-Z]+(?: or [A-Z]+)*) to ([a-z]+)$/, (states, act) => `${states.split(" or ").map((state) => STATES[state] ?? state).join("或")}，才能${ACTS[act] ?? act}`],
  [/^the version's package, with verify alone$/, () => "选一个版本（只有验证需要）"],
  [/^tags to add or remove, with tag alone$/, () => "要添加或去掉的标签（只有改标签需要）"],
  [/^a tag that is to be added or removed, not both$/, () => "同一个标签不能又添加又去掉"],
  [/^the id of a version$/, () => "一个版本"],
  [/^a version that is not verified yet$/, () => "还没有通过验证的版本"],
  [/^(\d+) to (\d+), or a query$/, (low, high) => `${low} 到 ${high} 台，或筛选条件`],
  [/^no comma and no semicolon: .+$/, () => "不含逗号和分号"],
  [/^a list of printable text$/, () => "可显示的文本"],
  [/^at most (\d+)$/, (high) => `至多 ${high} 个`],
  [/^at most (\d+) words$/, (high) => `至多 ${high} 个词`],
  [/^up or down$/, () => "up（升序）或 down（降序）"],
  [/^a version such as .*$/, () => "用点分隔的数字，如 1.2.0"],
  [/^a list of GET, PUT$/, () => "读取和设置中至少一项"],
  [/^one of (.+)$/, (names) => `以下之一：${names}`],
  [/^a file that is not empty$/, () => "非空的文件"],
  [/^the id of a product$/, () => "一个产品"],
  [/^letters of any script and digits, .*$/, () => "文字和数字，之间可有单个空格、点、横线或下划线，至多 64 个字符（汉字 25 个），不能是 root、targets、snapshot、timestamp"],
  [/^an http\(s\) URL, or a URI of an app's own scheme .*$/, () => "http(s) 地址，或 APP 自己的协议地址如 com.example:/x，不含 #"],
  [/^https:\/\/HOST or https:\/\/HOST:PORT; .*$/, () => "https 加主机名（可加端口）；http 只限 localhost 和 127.0.0.1"],
  [/^https:\/\/HOST\/… of at most (\d+) characters, .+$/, (high) => `以 https 开头、带主机的地址，至多 ${high} 个字符，不含用户名、密码和 #`],
  [/^at most (\d+) of one app$/, (high) => `每个 APP 至多 ${high} 个`],
];
// Why devices refuse a member of a package (ota/install/unpack.py).
const MEMBERS = {
  "a name that is taken already": "文件名重复", "a name that is too long": "文件名太长", "a size below 0": "大小无效", "an absolute name": "绝对路径",
  "a way out of the release": "路径离开了固件目录", "a link": "链接", "neither file nor folder": "既不是文件也不是目录", "outside lib/": "不在 lib/ 里",
};
const WHOLE = [
  [/^Not a gzipped file/, () => "不是 gzip 压缩的文件"],
  [/^Compressed file ended before/, () => "文件不完整"],
  [/^(?:Error -?\d+ while decompressing|CRC check failed|Incorrect length of data|Unknown compression)/, () => "压缩的数据已损坏"],
  [/^(?:(?:truncated|empty|invalid|bad|missing) (?:header|checksum|or bad)|unexpected end of data|end of file header)/, () => "压缩包里不是完整的 tar"],
  [/^first member is nothing, expected (\S+)/, (wanted) => `里面没有文件，应有 ${wanted}`],
  [/^first member is '?(.+?)'? \(\d+ bytes\), expected (\S+)/, (name, wanted) => `第一个文件是 ${name}，应为 ${wanted}`],
  [/^holds (\d+) bytes, (\S+) says (\d+)$/, (size, file, told) => `内容有 ${size} 字节，${file} 写的是 ${told}`],
  [/^member (.+): ([^:]+)$/s, (name, what) => `文件 ${name}：${MEMBERS[what] ?? what}`],
  [/^package too big: .+$/, () => "解压后太大"],
  [/^batch (.+): the product has one already$/, (name) => `批次 ${name} 已存在`],
  [/^product (.+): there is one already$/, (name) => `产品 ${name} 已存在`],
  [/^account (.+): there is one already$/, (name) => `账号 ${name} 已存在`],
  [/^data point (.+): the product has one already$/, (name) => `数据点 ${name} 已存在`],
  [/^data points: a product has at most (\d+)$/, (high) => `每个产品至多 ${high} 个数据点`],
  [/^(\w+) (.+): there is none$/, (kind, name) => `没有这个对象：${KINDS[kind] ?? kind} ${name}`],
  [/^phases\[(\d+)\]: batch (.+): the product has none$/, (number, name) => `第 ${Number(number) + 1} 阶段：产品没有批次 ${name}`],
  [/^batch (.+): the product has none$/, (name) => `产品没有批次 ${name}`],
  [/^version (\S+): there is no package$/, (version) => `没有版本 ${version} 的固件包`],
  [/^(?:version|package) (\S+): its file is not the one that was signed: .+$/, (name) => `版本 ${name} 的文件不是签名时的文件；云的管理者运行 story-cloud check 可知怎么办`],
  [/^strategy (\d+): it is ([A-Z]+) without phases, .+$/, (number, state) => `策略 ${number} ${STATES[state] ?? state}，没有分阶段，对它的全部设备有效；要分阶段，请新建策略`],
  [/^(?:lack of strategy id or valid: )?strategy (\d+) has as many updates under way as its pace allows; try again in (\d+) s$/, (number, seconds) => `策略 ${number} 的升级已达到设定的速度，请 ${seconds} 秒后再试`],
  [/^lack of strategy id or valid: no published strategy offers this$/, () => "没有已发布的策略提供这个版本"],
  [/^tag (.+): it is to be added and removed, expected one of both$/, (tag) => `标签 ${tag}：不能又添加又去掉`],
  [/^tags: the device would have (\d+), expected at most (\d+)$/, (has, high) => `这台设备会有 ${has} 个标签，至多 ${high} 个`],
  [/^tag (.+): there are (\d+) tags already; .+$/, (tag, high) => `标签 ${tag}：已有 ${high} 个标签，请先从设备上去掉一个不用的`],
  [/^action bind: many devices are bound by operators alone$/, () => "只有管理员能批量绑定设备"],
  [/^the account that began this has been disabled, or has another role now$/, () => "开始这项操作的账号已停用，或角色已变"],
  [/^nothing is offered to it any more$/, () => "已经没有版本提供给它"],
  [/^more than (\d+) devices match, expected at most so many: narrow the filter$/, (high) => `符合条件的设备超过 ${high} 台，请缩小筛选范围`],
  [/^preview (.+): there is none any more; make another one$/, () => "预览已失效，请重新预览"],
  [/^(\d+) jobs run already; begin this one when one has ended$/, (high) => `已有 ${high} 项批量操作在进行，请等一项结束`],
  [/^job (\d+): there is none; the cloud may have been restarted since$/, () => "没有这项批量操作；云可能已重启"],
  [/^(\d+) devices were not reached: the cloud was stopped$/, (left) => `云已停止，还有 ${left} 台没有处理`],
  [/^labels: none of (\d+) devices has one that is yours to print$/, (n) => `所选 ${n} 台都没有可打印的标签：已绑定给别人、属于过家庭，或没有令牌`],
  [/^the store failed$/, () => "云的数据库出错"],
  [/^device (\S+): no update is under way$/, () => "没有正在进行的升级"],
  [/^device (\S+): it is in use; versions are verified .+$/s, (uuid) => `设备 ${uuid} 正在使用；只能在研发中的设备（version 0）或你自己的设备上验证`],
  [/^device is running to update: .*$/, () => "设备正在升级"],
  [/^device version is higher than package version: .*$/, () => "设备的版本不低于这个版本"],
  [/^webhook (.+): there is one already$/, (url) => `Webhook ${url} 已存在`],
  [/^webhook (\d+): it is off, expected one that is on$/, () => "这个地址已关闭，请先开启"],
  [/^switched off before it was sent$/, () => "发送前已关闭"],
  [/^too many wait for this address$/, () => "等待的消息太多"],
  [/^no answer within (\S+) s$/, (seconds) => `${seconds} 秒内没有应答`],
  [/^HTTP (\d+), which is not followed$/, (code) => `应答 HTTP ${code}，不跟随跳转`],
  [/^HTTP (\d+)$/, (code) => `应答 HTTP ${code}，应为 200 到 299`],
  [/^(\S+): the name is not known, expected one of the network$/, (host) => `找不到主机 ${host}，请检查地址`],
  [/^(\S+): nothing listens there, expected a server with HTTPS$/, (host) => `${host} 拒绝连接，应有 HTTPS 服务`],
  [/^(\S+): its certificate is not trusted: (.+)$/, (host, why) => `${host} 的证书不受信任：${why}`],
  [/^(\S+): it does not speak TLS, expected HTTPS$/, (host) => `${host} 不是 HTTPS`],
  [/^there are (\d+) webhooks already, expected at most so many$/, (high) => `Webhook 至多 ${high} 个`],
  [/^(\S+) is (\S+), an address of a private network, .+$/, (host, address) => `${host} 是内网地址 ${address}，应为公网地址；允许内网：story-cloud alarm settings --set allow_private=1`],
  [/^app \S+: this is its secret already, expected another identity$/, () => "密钥没有变化，请换一个包名或签名"],
  [/^package \S+: it is not of the product of device (\S+)$/, (uuid) => `设备 ${uuid} 不属于这个版本的产品`],
  [/^package \S+: it is verified already$/, () => "这个版本已通过验证"],
  [/^package \S+: no device that verified it reports SUCCESS$/, () => "还没有设备验证成功"],
  [/^device (\S+): device is running to update: .*$/, (uuid) => `设备 ${uuid} 正在升级`],
  [/^device (\S+): device version is higher than package version: .*$/, (uuid) => `设备 ${uuid} 的版本不低于这个版本`],
  [/^(?:lead: )?device (\S+) is offline: .*$/, (uuid) => `设备 ${uuid} 离线，请先开机`],
  [/^signature: missing: the report is not signed$/, () => "报告没有签名"],
  [/^signature: cannot be read: (.+)$/, (why) => `签名读不了：${why}`],
  [/^signature: made with a certificate that this CA has not signed$/, () => "签名的证书不是这个云的 CA 签的"],
  [/^signature: its certificate was not valid when the report was made$/, () => "做报告时签名的证书无效"],
  [/^signature: does not match: the report was changed after it was signed$/, () => "签名后报告被改过"],
  [/^(?:lead: )?device (\S+) is behind a broker: .*$/, (uuid) => `设备 ${uuid} 用 MQTT，云无法引导它；用命令 story-cloud advise ${uuid} --port N --link mqtt --profile FILE`],
  [/^(?:lead: )?device (\S+) is not alone at its address: (.+) and it are at (\S+): .*$/, (uuid, others, address) => `设备 ${uuid} 与 ${others} 在同一地址 ${address}，云无法只引导它；断开别的设备，或用命令 story-cloud advise ${uuid} --port N --profile FILE`],
  [/^(?:lead: )?device (\S+): another run of the advisor has it: .*$/, (uuid) => `设备 ${uuid} 正在被另一次检查使用，请等它结束或取消它`],
  [/^device (\S+): a run is under way; cancel it first$/, (uuid) => `设备 ${uuid} 正在检查，请先取消`],
  [/^(\d+) runs are under way; begin this one when one has ended$/, (count) => `已有 ${count} 台设备在检查，请等一台结束`],
  [/^device (\S+) did not come: .*$/, (uuid) => `设备 ${uuid} 没有连过来：看它是否开机、能否连到这个云`],
  [/^it ended without a report$/, () => "检查中断，没有报告；云的日志可能有原因"],
  [/^version (\S+): it is \S+, expected a verified one$/, (version) => `版本 ${version} 还没有通过验证`],
];

/** Return a refusal in Chinese; what is not known stays as it is. */
export function inChinese(message) {
  const field = FIELD.exec(message);
  if (field) {
    const [, name, got, expected] = field;
    return `${called(name)}：${got === undefined ? "没有填写" : `得到 ${got}`}，应为${known(EXPECTED, expected) ?? ` ${expected}`}`;
  }
  return known(WHOLE, message) ?? message;
}

function called(name) {
  const [, list, number] = /^(\w+)\[(\d+)\]$/.exec(name) ?? [];
  return list === "phases" ? `第 ${Number(number) + 1} 阶段` : NAMES[name] ?? name;
}

function known(table, text) {
  for (const [pattern, say] of table) {
    const match = pattern.exec(text);
    if (match) return say(...match.slice(1));
  }
  return null;
}
