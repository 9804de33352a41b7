// The `process` object itself, without what it can do: Node's files ask for it while they
// are evaluated, long before ../process.js completes it.

const NODE_VERSION = '24.21.0'; // of Node's API that this library follows
const own = native.version();

// Its name is what people see.
export const ProcessPrototype = function process() {}.prototype;
export const process = Object.create(ProcessPrototype);

Object.assign(process, {
	title: 'tenantd',
	version: `v${NODE_VERSION}`,
	versions: Object.freeze({ node: NODE_VERSION, tenantd: own[0], v8: own[1], uv: own[2], openssl: own[3], sqlite: own[4] }),
	arch: 'x64',
	platform: 'linux',
	release: { name: 'node', lts: 'Krypton' },
	features: {},
	env: {},
});
