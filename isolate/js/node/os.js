// node:os, which tells nothing about the host: a machine with one processor, the memory
// that the tenant was granted and a name like all others.

import { native } from '../native.js';
import { internalBinding } from './binding.js';
import { codes } from './errors.js';
import { process } from './process_object.js';

const { os: constants } = internalBinding('constants');

// Functions that are their value when they are used as a string, as in Node.
function withValue(get, name) {
	Object.defineProperty(get, 'name', { __proto__: null, value: name });
	get[Symbol.toPrimitive] = get;
	return get;
}

const releaseFolder = () => native.permissionInfo()[1];

function userInfo(options) {
	const [, uid] = native.limits();
	const user = { uid, gid: uid, username: 'tenant', homedir: releaseFolder(), shell: null };
	if (options?.encoding !== 'buffer') return user;
	const { Buffer } = require('buffer');
	return { ...user, username: Buffer.from(user.username), homedir: Buffer.from(user.homedir) };
}

function getPriority(pid = 0) {
	if (pid !== 0 && pid !== process.pid) throw new codes.ERR_INVALID_ARG_VALUE('pid', pid);
	return 0;
}

const times = { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 };

export const os = {
	arch: withValue(() => process.arch, 'arch'),
	availableParallelism: withValue(() => 1, 'availableParallelism'),
	cpus: () => [{ model: 'tenantd', speed: 0, times: { ...times } }],
	endianness: withValue(() => 'LE', 'endianness'),
	freemem: withValue(() => {
		const [memory] = native.limits();
		return Math.max(0, memory - native.memoryUsage()[0]);
	}, 'freemem'),
	getPriority,
	homedir: withValue(() => process.env.HOME ?? releaseFolder(), 'homedir'),
	hostname: withValue(() => 'tenant', 'hostname'),
	loadavg: () => [0, 0, 0],
	networkInterfaces: () => ({}),
	platform: withValue(() => process.platform, 'platform'),
	release: withValue(() => '0', 'release'),
	setPriority() {
		throw new codes.ERR_SYSTEM_ERROR({
			errno: -1,
			code: 'EPERM',
			message: 'operation not permitted',
			syscall: 'uv_os_setpriority',
		});
	},
	tmpdir: withValue(() => {
		const path = process.env.TMPDIR || process.env.TMP || process.env.TEMP || '/tmp';
		return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
	}, 'tmpdir'),
	totalmem: withValue(() => native.limits()[0], 'totalmem'),
	type: withValue(() => 'Linux', 'type'),
	userInfo,
	uptime: withValue(() => process.uptime(), 'uptime'),
	version: withValue(() => 'tenantd', 'version'),
	machine: withValue(() => 'x86_64', 'machine'),
	constants,
	EOL: '\n',
	devNull: '/dev/null',
};
