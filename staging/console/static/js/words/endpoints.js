// What each endpoint of the open API does, in a line: [Chinese, English].

import { words } from "./book.js";

words({
  "api.get.device.resource": ["3.1：返回设备上报的自描述", "3.1: return the device's self-description as the device sent it."],
  "api.post.device.control.send": ["3.4：读取或设置数据点，返回设备的答复，包括拒绝", "3.4: read or set a data point and return the device's answer, also a refusal."],
  "api.post.device.query.data.connect": ["4.1：查询哪些设备在线；只能查自己的或未绑定的", "4.1: return which devices are online; each must be the caller's own, or unbound."],
  "api.get.device.query.data.history": ["4.2：分页返回设备的上报和控制记录，从新到旧", "4.2: return one page of the device's reports and control values, newest first."],
  "api.get.device.query.data.realtime": ["4.3：返回数据点最近的值；没有则为 null", "4.3: return a data point's latest value, reported or controlled; null if there is none."],
  "api.get.account.validate": ["1.2：检查令牌是否有效", "1.2: check whether the token is valid."],
  "api.get.account.infos": ["1.3：返回令牌所属的账号", "1.3: return the account that the token belongs to."],
  "api.post.device.bind": ["2.1：把设备绑定到调用者的账号", "2.1: bind a device to the caller's account."],
  "api.put.device.name.update": ["2.2：给已绑定的设备改名", "2.2: give a bound device a name."],
  "api.post.device.unbind": ["2.3：解除设备与账号的绑定；家庭的数据随之删除", "2.3: unbind a device from its account; what is stored of the family is deleted."],
  "api.get.device.bind.list": ["2.4：列出账号的设备，从新到旧", "2.4: list the account's devices, newest first."],
  "api.get.device.info.by_token": ["2.5：用绑定令牌查询设备，不论是否已绑定", "2.5: return a device, bound or not, to a caller that has its bind token."],
  "api.get.device.info.by_uuid": ["2.6：查询已绑定的设备", "2.6: return a bound device."],
  "api.get.device.ota.new_version": ["5.1：返回提供给设备的升级；没有则为 null", "5.1: return the update that is offered to the device; null if there is none."],
  "api.get.device.ota.version.info": ["5.2：返回版本的固件包；APP 须绑定该产品", "5.2: return a version's package; the app must be bound to its product."],
  "api.post.device.ota.update": ["5.3：开始升级；设备现在或下次上线时收到", "5.3: order an update; the device gets the order now, or when it next registers."],
  "api.get.device.ota.update.status": ["5.4：返回设备最近一次升级的状态", "5.4: return the status of the device's latest update."],
  "api.get.device.data": ["本云增加：返回家庭的全部数据，每行一个 JSON", "Ours: return everything that is stored of the device's family, one JSON object a line."],
  "api.delete.device.data": ["本云增加：删除家庭的全部数据；设备仍绑定", "Ours: erase everything of the device's family. The device stays bound."],
  "api.get.device.data.voice": ["本云增加：分页返回语音台账，从新到旧", "Ours: return one page of the ledger of the child's voice, newest first."],
  "api.delete.device.data.voice": ["本云增加：删除语音，若干条或全部；答复中有回执", "Ours: erase utterances everywhere in this cloud, or all of them; the answer has the receipt."],
  "api.get.device.data.receipt": ["本云增加：查询删除命令的结果，解绑后也可以", "Ours: return what has become of an order to erase, also after unbinding."],
  "api.get.device.data.audit": ["本云增加：返回对自己的设备和账号做过什么，从新到旧", "Ours: return what was done to the caller's devices and account, newest first."],
});
