"""Plans: the SQL for an operation, made once per text and shape.

A plan depends on the query text, the operation's name, what is present in the variables (booleans
and enums by value, arguments.shape) and on which parts of a scope limit the caller, never on a
scope's or a variable's values. So no `$2 IS NULL OR …` reaches the planner of Postgres.
"""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLSchema, OperationDefinitionNode

from aggregator.access.principal import Scope
from aggregator.graph import subscription
from aggregator.graph.arguments import shape
from aggregator.graph.compiler import Compilation, Plan
from aggregator.graph.documents import Document
from aggregator.graph.limits import PLAN_CACHE, PLAN_CACHE_BYTES, WALKED_CLUSTERS
from aggregator.graph.lru import Lru
from aggregator.graph.selection import Selection
from aggregator.graph.statement import Read, Statement


class Plans:
    """Makes and remembers plans."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._cache: Lru[Any, Plan] = Lru(PLAN_CACHE, PLAN_CACHE_BYTES)
        self._followed: Lru[Any, tuple[Plan, Read]] = Lru(PLAN_CACHE, PLAN_CACHE_BYTES)

    def query(
        self,
        text: str,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        scope: Scope,
    ) -> Plan:
        """Return the plan for a query."""
        key = _key(text, operation, variables, scope)
        plan = self._cache.get(key)
        if plan is None:
            plan = self._make(document, operation, variables, scope)
            self._cache.put(key, plan, _weight(text, plan))
        return plan

    def _make(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        scope: Scope,
    ) -> Plan:
        compilation = self.compilation(document, variables, scope)
        return compilation.plan("Query", [operation.selection_set])

    def subscription(
        self,
        text: str,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        scope: Scope,
    ) -> tuple[Plan, Read]:
        """Return the plan for a subscription's rounds, and how to read where it begins."""
        key = _key(text, operation, variables, scope)
        plan = self._followed.get(key)
        if plan is None:
            plan = subscription.plan(self.compilation(document, variables, scope), operation)
            self._followed.put(key, plan, _weight(text, plan[0]))
        return plan

    def compilation(
        self, document: Document, variables: Mapping[str, Any], scope: Scope
    ) -> Compilation:
        """Return a compilation for an operation of a document."""
        return Compilation(
            self._schema,
            Selection(self._schema, document.fragments, variables),
            Statement(
                scoped_clusters=scope.clusters is not None,
                scoped_namespaces=scope.namespaces is not None,
                few_clusters=_few_clusters(scope),
                hides_clusters=bool(scope.hidden),
            ),
        )


def _key(
    text: str, operation: OperationDefinitionNode, variables: Mapping[str, Any], scope: Scope
) -> Any:
    return (
        text,
        operation.name.value if operation.name else None,
        shape(dict(variables)),
        scope.clusters is not None,
        _few_clusters(scope),
        bool(scope.hidden),
        scope.namespaces is not None,
    )


def _weight(text: str, plan: Plan) -> int:
    return len(text) + len(plan.sql or "")


def _few_clusters(scope: Scope) -> bool:
    return scope.clusters is not None and len(scope.clusters) <= WALKED_CLUSTERS
