-- A data folder from before there were revisions: cloud.sqlite as its server made and filled it.
BEGIN TRANSACTION;
CREATE TABLE access_tokens (
	digest VARCHAR(255) NOT NULL, 
	app_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	expire_time BIGINT NOT NULL, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(app_id) REFERENCES apps (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "access_tokens" VALUES('395ff67f0587724e7739c8ed80506252b9772fbb90dbfaff32345f142592fb1b',1,1,5184000001);
CREATE TABLE accounts (
	id INTEGER NOT NULL, 
	uuid VARCHAR(255) NOT NULL, 
	user_name VARCHAR(255) NOT NULL, 
	status VARCHAR(255) NOT NULL, 
	create_time BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (uuid), 
	UNIQUE (user_name)
);
INSERT INTO "accounts" VALUES(1,'5_8126940002','tester','ENABLE',1);
CREATE TABLE app_products (
	app_id INTEGER NOT NULL, 
	product_id INTEGER NOT NULL, 
	PRIMARY KEY (app_id, product_id), 
	FOREIGN KEY(app_id) REFERENCES apps (id), 
	FOREIGN KEY(product_id) REFERENCES products (id)
);
INSERT INTO "app_products" VALUES(1,1);
CREATE TABLE apps (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	apikey VARCHAR(255) NOT NULL, 
	secret VARCHAR(255) NOT NULL, 
	create_time BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (apikey)
);
INSERT INTO "apps" VALUES(1,'app','web','dfc289bafdde4a12c99d513dd8d5ba16','00000000000000000000000000000000',1);
CREATE TABLE batches (
	id INTEGER NOT NULL, 
	product_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (product_id, name), 
	FOREIGN KEY(product_id) REFERENCES products (id)
);
INSERT INTO "batches" VALUES(1,1,'0000');
CREATE TABLE bindings (
	device_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	create_time BIGINT NOT NULL, 
	PRIMARY KEY (device_id), 
	FOREIGN KEY(device_id) REFERENCES devices (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "bindings" VALUES(1,1,2);
CREATE TABLE devices (
	id INTEGER NOT NULL, 
	uuid VARCHAR(255) NOT NULL, 
	product_id INTEGER NOT NULL, 
	batch_id INTEGER NOT NULL, 
	os_version_id INTEGER NOT NULL, 
	token VARCHAR(255) NOT NULL, 
	bind_token VARCHAR(255), 
	bind_token_differs BOOLEAN NOT NULL, 
	version BIGINT NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	status VARCHAR(255) NOT NULL, 
	activate_time BIGINT, 
	last_heartbeat_time BIGINT, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	description JSON, 
	last_report_ms BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (uuid), 
	FOREIGN KEY(product_id) REFERENCES products (id), 
	FOREIGN KEY(batch_id) REFERENCES batches (id), 
	FOREIGN KEY(os_version_id) REFERENCES os_versions (id)
);
INSERT INTO "devices" VALUES(1,'01a800000072af',1,1,1,'6e39bfa3ec01551525a210d8a3da3c61','ea77c2e3228a5ee108d925a2f719cfa4',0,1,'','UNACTIVATED',NULL,NULL,1,2,NULL,6);
CREATE TABLE os_versions (
	id INTEGER NOT NULL, 
	product_id INTEGER NOT NULL, 
	version VARCHAR(255) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (product_id, version), 
	FOREIGN KEY(product_id) REFERENCES products (id)
);
INSERT INTO "os_versions" VALUES(1,1,'0.0.0.0');
INSERT INTO "os_versions" VALUES(2,1,'1.1');
CREATE TABLE ota_events (
	id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	ts BIGINT NOT NULL, 
	event BIGINT, 
	percent FLOAT, 
	text TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(task_id) REFERENCES ota_tasks (id)
);
CREATE TABLE ota_tasks (
	id INTEGER NOT NULL, 
	device_id INTEGER NOT NULL, 
	package_id INTEGER NOT NULL, 
	strategy_id INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	percent FLOAT, 
	failure TEXT, 
	installed BOOLEAN NOT NULL, 
	accepted BOOLEAN NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(device_id) REFERENCES devices (id), 
	FOREIGN KEY(package_id) REFERENCES packages (id), 
	FOREIGN KEY(strategy_id) REFERENCES strategies (id)
);
INSERT INTO "ota_tasks" VALUES(1,1,1,1,'CREATED',NULL,NULL,0,0,4,4);
CREATE TABLE packages (
	id INTEGER NOT NULL, 
	product_id INTEGER NOT NULL, 
	os_version_id INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	md5 VARCHAR(255) NOT NULL, 
	sha256 VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	status VARCHAR(255) NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (os_version_id), 
	FOREIGN KEY(product_id) REFERENCES products (id), 
	FOREIGN KEY(os_version_id) REFERENCES os_versions (id)
);
INSERT INTO "packages" VALUES(1,1,2,'1.tar',1,'00000000000000000000000000000000','0000000000000000000000000000000000000000000000000000000000000000','','RELEASED',3,3);
CREATE TABLE products (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	data_points JSON NOT NULL, 
	create_time BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "products" VALUES(1,'story-machine','{"resources": [{"name": "play", "resourceType": "voice", "type": "string", "label": "\u64ad\u653e\u5185\u5bb9", "description": "\u53ef\u901a\u8fc7\u201c\u64ad\u653e\u513f\u6b4c\u201d\u201c\u64ad\u653e\u6625\u5929\u5728\u54ea\u91cc\u201d\u201c\u4e0a\u4e00\u9996\u201d\u201c\u4e0b\u4e00\u9996\u201d\u7b49\u8bed\u97f3\u6307\u4ee4\u63a7\u5236\u64ad\u653e\u5185\u5bb9", "pattern": {}, "uri": "/play", "protocol": ["COAP", "HTTP"], "method": ["GET", "PUT"]}, {"name": "volume", "resourceType": "voice", "type": "int", "label": "\u97f3\u91cf", "description": "\u53ef\u901a\u8fc7\u201c\u8c03\u9ad8\u97f3\u91cf\u201d\u201c\u8c03\u4f4e\u97f3\u91cf\u201d\u7b49\u8bed\u97f3\u6307\u4ee4\u8c03\u8282\u8bbe\u5907\u97f3\u91cf", "pattern": {"min": 0, "max": 16, "step": 1}, "uri": "/volume", "protocol": ["COAP", "HTTP"], "method": ["GET", "PUT"]}, {"name": "switch", "resourceType": "", "type": "bool", "label": "\u5173\u673a", "description": "\u5173\u95ed\u8bbe\u5907", "uri": "/switch", "protocol": ["COAP", "HTTP"], "method": ["GET", "PUT"]}, {"name": "power", "resourceType": "", "type": "int", "label": "\u7535\u91cf", "description": "\u67e5\u8be2\u7535\u91cf", "pattern": {"min": 0, "max": 100, "step": 1}, "uri": "/power", "protocol": ["COAP", "HTTP"], "method": ["GET"]}], "report": []}',1);
CREATE TABLE reports (
	device_id INTEGER NOT NULL, 
	ts BIGINT NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	value JSON NOT NULL, 
	PRIMARY KEY (device_id, ts), 
	FOREIGN KEY(device_id) REFERENCES devices (id)
);
INSERT INTO "reports" VALUES(1,5,'volume','REPORT',7);
INSERT INTO "reports" VALUES(1,6,'volume','REPORT',8);
CREATE TABLE strategies (
	id INTEGER NOT NULL, 
	package_id INTEGER NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	from_versions JSON NOT NULL, 
	batches JSON NOT NULL, 
	create_time BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(package_id) REFERENCES packages (id)
);
INSERT INTO "strategies" VALUES(1,1,'PASSIVE','PUBLISHED','[]','[]',3);
CREATE TABLE used_nonces (
	app_id INTEGER NOT NULL, 
	nonce VARCHAR(255) NOT NULL, 
	use_time BIGINT NOT NULL, 
	PRIMARY KEY (app_id, nonce), 
	FOREIGN KEY(app_id) REFERENCES apps (id)
);
INSERT INTO "used_nonces" VALUES(1,'0123456789abcdef',5);
CREATE INDEX ix_access_tokens_expire_time ON access_tokens (expire_time);
CREATE INDEX ix_used_nonces_use_time ON used_nonces (use_time);
CREATE INDEX ix_devices_product_id ON devices (product_id);
CREATE INDEX ix_bindings_account_id ON bindings (account_id);
CREATE INDEX ix_reports_key ON reports (device_id, "key", ts);
CREATE INDEX ix_ota_tasks_device_id ON ota_tasks (device_id);
CREATE INDEX ix_ota_events_task_id ON ota_events (task_id);
COMMIT;
