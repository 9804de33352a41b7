// TurboSHAKE, KangarooTwelve, cSHAKE and KMAC of Web Cryptography, at the ends of their blocks.
process.removeAllListeners('warning');
const { subtle } = crypto;
const hex = (data) => Buffer.from(data).toString('hex');
const attempt = async (name, f) => {
	try {
		console.log(name, await f());
	} catch (error) {
		console.log(name, error.name, error.message, error.cause?.message);
	}
};
const sizes = [0, 1, 135, 136, 137, 167, 168, 169, 8191, 8192, 8193, 16384, 16385, 30000];
for (const size of sizes) {
	const data = Buffer.alloc(size, (_, i) => i);
	for (let i = 0; i < size; i++) data[i] = i % 251;
	for (const name of ['TurboSHAKE128', 'TurboSHAKE256'])
		for (const domainSeparation of [undefined, 1, 0x7f]) await attempt(`${name} ${size}`, async () => hex(await subtle.digest({ name, outputLength: 256, domainSeparation }, data)));
	for (const name of ['KT128', 'KT256'])
		for (const customization of [undefined, Buffer.from('own'), Buffer.alloc(300, 1), Buffer.alloc(8192, 2)]) await attempt(`${name} ${size} ${customization?.length}`, async () => hex(await subtle.digest({ name, outputLength: 520, customization }, data)));
	for (const name of ['cSHAKE128', 'cSHAKE256'])
		for (const functionName of [undefined, Buffer.from('N')])
			for (const customization of [undefined, Buffer.from('S')]) await attempt(`${name} ${size}`, async () => hex(await subtle.digest({ name, outputLength: 136, functionName, customization }, data)));
	for (const name of ['KMAC128', 'KMAC256'])
		for (const length of [8, 128, 256]) {
			const key = await subtle.importKey('raw-secret', Buffer.alloc(length / 8, 7), { name }, true, ['sign', 'verify']);
			for (const customization of [undefined, Buffer.from('own')]) {
				const how = { name, outputLength: 264, customization };
				const mac = await subtle.sign(how, key, data);
				console.log(name, size, hex(mac), await subtle.verify(how, key, mac, data), await subtle.verify(how, key, mac.slice(1), data));
			}
		}
}
for (const outputLength of [0, 8, 8000, 12]) for (const name of ['TurboSHAKE128', 'KT256', 'cSHAKE128']) await attempt(`${name} of ${outputLength}`, async () => hex(await subtle.digest({ name, outputLength }, Buffer.from('x'))));
for (const domainSeparation of [0, 0x80, 256]) await attempt(`domain ${domainSeparation}`, async () => hex(await subtle.digest({ name: 'TurboSHAKE128', outputLength: 64, domainSeparation }, Buffer.from('x'))));
