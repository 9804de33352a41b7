// GraphQL Yoga on a server of Node's: queries, mutations, errors, a subscription by SSE.
import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';

const notes = [{ id: '1', text: 'the first' }];

const yoga = createYoga({
	graphqlEndpoint: '/',
	graphiql: false,
	logging: false,
	schema: createSchema({
		typeDefs: /* GraphQL */ `
			type Note { id: ID!, text: String! }
			type Query { hello(name: String = "GraphQL"): String!, notes: [Note!]!, fail: String }
			type Mutation { add(text: String!): Note! }
			type Subscription { count(to: Int!): Int! }
		`,
		resolvers: {
			Query: {
				hello: (_, { name }) => `Hello ${name}`,
				notes: () => notes,
				fail: () => {
					throw new Error('told to');
				},
			},
			Mutation: {
				add: (_, { text }) => {
					const note = { id: String(notes.length + 1), text };
					notes.push(note);
					return note;
				},
			},
			Subscription: {
				count: {
					async *subscribe(_, { to }) {
						for (let i = 1; i <= to; i++) yield { count: i };
					},
				},
			},
		},
	}),
});

createServer(yoga).listen(process.env.PORT);
