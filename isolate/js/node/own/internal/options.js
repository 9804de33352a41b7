// Node's command line options that upstream files ask for, as they are here.

import {
	ArrayPrototypeMap,
	ArrayPrototypePush,
	StringPrototypeSlice,
	StringPrototypeSplit,
	StringPrototypeStartsWith,
} from '../../../primordials.js';
import { process } from '../../process_object.js';
import { reporterURL } from './modules/esm/loader.js';

const options = {
	__proto__: null,
	'--async-context-frame': true,
	'--conditions': ['tenantd', 'workerd', 'worker'],
	'--experimental-detect-module': true,
	'--experimental-import-text': true,
	'--max-http-header-size': 16384,
	'--no-addons': true,
	// A release has no links.
	'--preserve-symlinks': true,
	'--preserve-symlinks-main': true,
	'--require-module': true,
	'--secure-heap': 0,
	'--secure-heap-min': 2,
	'--stack-trace-limit': 10,
	// What OpenSSL agrees on by itself, in Node's words.
	'--tls-cipher-list':
		'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:HIGH:!aNULL:!kRSA:!PSK:!SRP:!MD5:!RC4',
};

// node:test's options, from NODE_OPTIONS: there is no command line of node's.
const LISTS = { __proto__: null, '--test-reporter': true, '--test-reporter-destination': true, '--test-name-pattern': true, '--test-skip-pattern': true };
const FLAGS = { __proto__: null, '--test-only': true, '--test-update-snapshots': true };

function testOption(name) {
	const given = process.env.NODE_OPTIONS;
	const words = typeof given === 'string' ? StringPrototypeSplit(given, ' ') : [];
	const values = [];
	for (let i = 0; i < words.length; i++) {
		if (words[i] === name && FLAGS[name] === true) return true;
		if (words[i] === name && i + 1 < words.length) ArrayPrototypePush(values, words[++i]);
		else if (StringPrototypeStartsWith(words[i], `${name}=`))
			ArrayPrototypePush(values, StringPrototypeSlice(words[i], name.length + 1));
	}
	if (FLAGS[name] === true) return false;
	if (name === '--test-reporter' && values.length === 0) ArrayPrototypePush(values, 'spec');
	return name === '--test-reporter' ? ArrayPrototypeMap(values, reporterURL) : values;
}

export function getOptionValue(name) {
	if (LISTS[name] === true || FLAGS[name] === true) return testOption(name);
	return options[name] ?? false;
}

export function getEmbedderOptions() {
	return { __proto__: null, noGlobalSearchPaths: true };
}
