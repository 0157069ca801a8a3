"""Runs mutations: one root field after the other, each followed by a query for what it answers."""

from typing import Any

import msgspec
from graphql import OperationDefinitionNode
from graphql.execution.values import VariableValues

from aggregator.access.administration import RefusedError
from aggregator.access.principal import Principal, Role
from aggregator.graph.arguments import plain
from aggregator.graph.compiler import Compilation, Plan
from aggregator.graph.documents import Document
from aggregator.graph.errors import FORBIDDEN, GraphError
from aggregator.graph.mutation import Outcome
from aggregator.graph.plans import Plans
from aggregator.graph.selection import TYPENAME, Selected
from aggregator.graph.statement import where
from aggregator.graph.tables import CLUSTER


class Changes:
    """Makes the changes of one operation; the endpoint runs the queries."""

    def __init__(
        self,
        plans: Plans,
        document: Document,
        operation: OperationDefinitionNode,
        variables: VariableValues,
        principal: Principal,
    ) -> None:
        self._plans = plans
        self._document = document
        self._variables = variables
        self._principal = principal
        self.fields = self._compilation().selection.fields("Mutation", [operation.selection_set])

    def _compilation(self) -> Compilation:
        return self._plans.compilation(
            self._document, self._variables.coerced, self._principal.scope
        )

    async def make(self, pool: Any, field: Selected) -> Outcome:
        """Make the change of one root field."""
        if field.definition is None:
            return Outcome(field.parent)
        if self._principal.role is not Role.ADMIN:
            raise GraphError(
                FORBIDDEN,
                f"{field.name} needs an ADMIN token; yours is {self._principal.role.value}.",
                path=field.path,
            )
        arguments = {
            name: plain(tree) for name, tree in self._compilation().arguments(field).items()
        }
        change = field.definition.extensions["strawberry-definition"].metadata["change"]
        try:
            outcome: Outcome = await change(pool, self._principal, arguments)
        except RefusedError as error:
            raise GraphError(error.code, error.message, path=field.path) from error
        return outcome

    def plan(self, field: Selected, outcome: Outcome) -> Plan | None:
        """Return the query for the cluster in the answer, if it has one."""
        compilation = self._compilation()
        if field.type_name == "Cluster":
            return self._cluster(compilation, field, outcome)
        if field.type_name.endswith("Payload"):
            for below in compilation.below(field):
                if below.type_name == "Cluster":
                    return self._cluster(compilation, below, outcome)
        return None

    def _cluster(self, compilation: Compilation, field: Selected, outcome: Outcome) -> Plan:
        row = CLUSTER.row(compilation.statement)
        bound = compilation.statement.bind(lambda _: outcome.cluster_id, "int")
        found = [f"{row['c'].id} = {bound}", *CLUSTER.scope(compilation.statement, row)]
        tail = f" FROM {row.fill(CLUSTER.source)}{where(found)}"
        return compilation.finish(f"({compilation.object_from(field, row, tail)})")

    def render(self, field: Selected, outcome: Outcome, cluster: bytes | None) -> bytes:
        """Return the JSON of one root field."""
        if field.type_name == "Cluster":
            return cluster or b"null"
        if not field.type_name.endswith("Payload"):
            return msgspec.json.encode(outcome.value)
        parts: dict[str, msgspec.Raw] = {}
        for below in self._compilation().below(field):
            if below.type_name == "Cluster":
                parts[below.key] = msgspec.Raw(cluster or b"null")
            elif below.name == TYPENAME:
                parts[below.key] = msgspec.Raw(msgspec.json.encode(field.type_name))
            else:
                parts[below.key] = msgspec.Raw(msgspec.json.encode(outcome.value[below.name]))
        return msgspec.json.encode(parts)
