// Starts GraphiQL against this server. A token, where one is set, goes into the headers editor as
// {"Authorization": "Bearer …"}; the socket, which cannot send headers, shows it in its first message.
"use strict";

let authorization = "";

const client = graphqlWs.createClient({
  url: location.origin.replace(/^http/, "ws") + "/graphql",
  lazy: true,
  connectionParams: () => ({ authorization }),
});

const fetcher = GraphiQL.createFetcher({ url: "/graphql", wsClient: client });

function remember(parameters, options) {
  authorization = options?.headers?.Authorization ?? options?.headers?.authorization ?? "";
  return fetcher(parameters, options);
}

const welcome = `# What depends on a column?
{
  artifacts(filter: { kinds: [COLUMN] }, first: 5) {
    edges { node { id name } }
  }
}
`;

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, { fetcher: remember, defaultQuery: welcome, shouldPersistHeaders: false }),
);
