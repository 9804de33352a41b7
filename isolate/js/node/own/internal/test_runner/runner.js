// node:test's run(), in this program: Node's own starts a process for each file, which would be
// another tenant here.

import {
	ArrayIsArray,
	ArrayPrototypeFilter,
	ArrayPrototypeMap,
	ArrayPrototypeSort,
	PromiseWithResolvers,

} from '../../../../primordials.js';
import { primordials } from '../../../primordials.js';
import { process } from '../../../process_object.js';
import { codes } from '../../../errors.js';
import { native } from '../../../../native.js';
import path from '../../../path.js';
import {
	validateAbortSignal,
	validateArray,
	validateBoolean,
	validateFunction,
	validateInteger,
	validateObject,
	validateOneOf,
	validateString,
	validateStringArray,
	validateUint32,
} from '../../../validators.js';
import { pathToFileURL } from '../url.js';
import { getOrInitializeCascadedLoader } from '../modules/esm/loader.js';

const { ERR_FEATURE_UNAVAILABLE_ON_PLATFORM, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE } = codes;
const isRegExp = (value) => native.kind(value) === 'RegExp';

function patternsOf(value, name) {
	if (value === undefined || value === null) return null;
	const { convertStringToRegExp } = require('internal/test_runner/utils');
	return ArrayPrototypeMap(ArrayIsArray(value) ? value : [value], (pattern, i) => {
		if (isRegExp(pattern)) return pattern;
		if (typeof pattern === 'string') return convertStringToRegExp(pattern, `${name}[${i}]`);
		throw new ERR_INVALID_ARG_TYPE(`${name}[${i}]`, ['string', 'RegExp'], pattern);
	});
}

function unavailable(what) {
	throw new ERR_FEATURE_UNAVAILABLE_ON_PLATFORM(`run() of node:test: ${what}`);
}

function checkOptions(options) {
	const { files, watch, forceExit, only, globPatterns, randomSeed, shard, setup, concurrency } = options;
	if (files != null) validateArray(files, 'options.files');
	if (watch != null) validateBoolean(watch, 'options.watch');
	if (forceExit != null) {
		validateBoolean(forceExit, 'options.forceExit');
		if (forceExit && watch)
			throw new ERR_INVALID_ARG_VALUE('options.forceExit', watch, 'is not supported with watch mode');
	}
	if (only != null) validateBoolean(only, 'options.only');
	if (globPatterns != null) validateArray(globPatterns, 'options.globPatterns');
	if (options.randomize != null) validateBoolean(options.randomize, 'options.randomize');
	if (randomSeed != null) validateUint32(randomSeed, 'options.randomSeed');
	if (shard != null) {
		validateObject(shard, 'options.shard');
		validateInteger(shard.total, 'options.shard.total', 1);
		validateInteger(shard.index, 'options.shard.index', 1, shard.total);
		if (watch) throw new ERR_INVALID_ARG_VALUE('options.shard', watch, 'shards not supported with watch mode');
	}
	if (setup != null) validateFunction(setup, 'options.setup');
	if (options.signal !== undefined) validateAbortSignal(options.signal, 'options.signal');
	if (globPatterns?.length > 0 && files?.length > 0)
		throw new ERR_INVALID_ARG_VALUE('options.globPatterns', globPatterns, "is not supported when specifying 'options.files'");
	return concurrency;
}

function refuse({ isolation = 'process', watch, coverage = false, env, argv = [], execArgv = [], rerunFailuresFilePath }) {
	validateOneOf(isolation, 'options.isolation', ['process', 'none']);
	validateBoolean(coverage, 'options.coverage');
	validateStringArray(argv, 'options.argv');
	validateStringArray(execArgv, 'options.execArgv');
	if (env != null) {
		validateObject(env, 'options.env');
		if (isolation === 'none')
			throw new ERR_INVALID_ARG_VALUE('options.env', env, "is not supported with isolation='none'");
	}
	if (isolation === 'process') unavailable("a process for each file; use isolation: 'none'");
	if (watch) unavailable('watch');
	if (coverage) unavailable('coverage');
	if (rerunFailuresFilePath) unavailable('rerunFailuresFilePath');
}

function filesOf({ files, globPatterns, shard }, cwd) {
	const { kDefaultPattern } = require('internal/test_runner/utils');
	let list = files;
	if (list == null) {
		const { globSync } = require('fs');
		const patterns = globPatterns?.length > 0 ? globPatterns : [kDefaultPattern];
		list = ArrayPrototypeSort(
			globSync(patterns, { __proto__: null, cwd, exclude: (name) => name === 'node_modules' }),
		);
	}
	if (shard == null) return list;
	const { index, total } = shard;
	return ArrayPrototypeFilter(list, (_, i) => i % total === index - 1);
}

async function loadFile(root, file, cwd) {
	const { Test } = require('internal/test_runner/test');
	const { startSubtestAfterBootstrap } = require('internal/test_runner/harness');
	const count = root.subtests.length;
	let failure;
	let failed = false;
	root.entryFile = path.resolve(cwd, file);
	try {
		await getOrInitializeCascadedLoader().import(pathToFileURL(root.entryFile).href);
	} catch (error) {
		failed = true;
		failure = error;
	}
	if (root.subtests.length !== count) return;
	// A file without tests is a test.
	const subtest = root.createSubtest(Test, file, { __proto__: null }, undefined, {
		__proto__: null,
		loc: [1, 1, root.entryFile],
	});
	if (failed) subtest.fail(failure);
	startSubtestAfterBootstrap(subtest);
}

async function runFiles(root, files, cwd) {
	const { promise, resolve } = PromiseWithResolvers();
	await root.runInAsyncScope(async () => {
		const { bootstrapPromise } = root.harness;
		root.harness.bootstrapPromise = bootstrapPromise ? primordials.SafePromiseAllReturnVoid([bootstrapPromise, promise]) : promise;
		for (let i = 0; i < files.length; i++) await loadFile(root, files[i], cwd);
	});
	root.entryFile = null;
	resolve();
	return root.processPendingSubtests();
}

export function run(options = { __proto__: null }) {
	validateObject(options, 'options');
	const { timeout, signal, setup, only, globalSetupPath, cwd = process.cwd() } = options;
	const concurrency = checkOptions(options);
	const testNamePatterns = patternsOf(options.testNamePatterns, 'options.testNamePatterns');
	const testSkipPatterns = patternsOf(options.testSkipPatterns, 'options.testSkipPatterns');
	validateString(cwd, 'options.cwd');
	refuse(options);

	const { createTestTree } = require('internal/test_runner/harness');
	const { createRandomSeed, parseCommandLine } = require('internal/test_runner/utils');
	const randomize = options.randomize || options.randomSeed != null;
	const randomSeed = options.randomSeed ?? (randomize ? createRandomSeed() : undefined);
	const globalOptions = { __proto__: null, ...parseCommandLine(), setup, coverage: false, cwd, globalSetupPath, randomize, randomSeed };
	if (testNamePatterns !== null) globalOptions.testNamePatterns = testNamePatterns;
	if (testSkipPatterns !== null) globalOptions.testSkipPatterns = testSkipPatterns;
	if (only != null) globalOptions.only = only;

	const root = createTestTree({ __proto__: null, concurrency, timeout, signal }, globalOptions);
	const files = filesOf(options, cwd);
	if (randomize) root.diagnostic(`Randomized test order seed: ${randomSeed}`);
	(async () => {
		if (root.harness.bootstrapPromise) await root.harness.bootstrapPromise;
		if (typeof setup === 'function') await setup(root.reporter);
		await runFiles(root, files, cwd);
	})();
	return root.reporter;
}
