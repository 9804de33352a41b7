// lodash, from CommonJS: `exports.default` is a service, too.
'use strict';
const _ = require('lodash');
const flow = require('lodash/fp/flow');
const map = require('lodash/fp/map');

const people = [
	{ name: 'Ada', born: 1815, tags: ['maths', 'code'] },
	{ name: 'Grace', born: 1906, tags: ['code', 'navy'] },
	{ name: 'Alan', born: 1912, tags: ['maths'] },
];

async function debounced() {
	const calls = [];
	const call = _.debounce((word) => calls.push(word), 10);
	call('first');
	call('second');
	await new Promise((done) => setTimeout(done, 40));
	return calls;
}

exports.__esModule = true;
exports.default = {
	async fetch() {
		return Response.json({
			groups: _.mapValues(_.groupBy(people, ({ born }) => (born < 1900 ? 'early' : 'late')), 'length'),
			sorted: _.orderBy(people, ['tags.length', 'name'], ['desc', 'asc']).map((person) => person.name),
			chain: _(people).flatMap('tags').uniq().sort().value(),
			fp: flow(map((n) => n * 2), map(String))([1, 2, 3]),
			cases: [_.camelCase('Some words-here'), _.startCase('fooBar'), _.deburr('déjà vu')],
			merged: _.merge({ a: { b: 1 } }, { a: { c: [2] } }),
			equal: _.isEqual(new Map([[{ a: 1 }, new Set([1])]]), new Map([[{ a: 1 }, new Set([1])]])),
			cloned: _.cloneDeep({ date: new Date(0), bytes: new Uint8Array([1, 2]), re: /x/gi }).re.flags,
			types: [_.isBuffer(Buffer.from('x')), _.isTypedArray(new Float32Array(1)), _.isPlainObject(people[0])],
			path: _.get(people, '[1].tags[0]'),
			debounced: await debounced(),
		});
	},
};
