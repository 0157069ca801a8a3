"""Every limit of the query engine, with its unit; docs/graphql-limits.md explains each to users."""

MAX_BODY_BYTES = 1 << 20  # of a request's body: a document and its variables
MAX_DOCUMENT_BYTES = 64 << 10  # of the query text
MAX_TOKENS = 5_000  # of the query text: 10 times GraphiQL's introspection query
MAX_NESTING = 100  # brackets of any kind in the query text: the parser recurses
MAX_REPEATS = 64  # of one response name in the text: validation compares each with each
MAX_DEPTH = 20  # levels of fields; introspection nests 15 deep
MAX_FIELDS = 2_000  # selected in an operation after fragments are spread
MAX_ALIASES = 200  # in an operation after fragments are spread
MAX_ROOT_FIELDS = 20  # of one operation: each is a query of its own
MAX_PAGE = 1_000  # rows, the highest `first`
MAX_COST = 200_000  # rows asked for along the tree: the product of `first` down each path, summed
MAX_FILTER_NODES = 200  # of one argument: objects within objects count each
MAX_LIST_VALUES = 1_000  # values in one list of a filter
MAX_TEXT = 4_096  # characters of one string in a filter
MAX_DIMENSIONS = 4  # of findingGroups(by:)
MAX_ERRORS = 10  # listed in one answer

# Page sizes that stand in the SQL where they are variables, as do all that stand in the query text. A
# statement keeps its plan for a size; others are parameters, so that they cannot flood the caches.
PLANNED_SIZES = (1, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1_000)

SMALL_SCOPE_FINDINGS = 300_000  # findings in scope up to which questions outside the fast set run
SMALL_SCOPE_EVENTS = (
    200_000  # runtime events in scope up to which questions outside the fast set run
)
WALKED_CLUSTERS = 64  # clusters of a filter or scope up to which each is looked into by itself
WALKED_CONTENTS = 400  # contents within a scope or filter up to which each is looked into by itself
PINNED_VALUES = (
    200  # rules, packages or images that pass a test, up to which each is walked by itself
)
RECENT_OPENED = 20_000  # findings opened since a time, up to which each is looked at
USED_CONTENTS = (
    20_000  # contents by cluster and namespace in scope, up to which their findings are grouped
)
EXACT_SUBJECTS_REPORTS = 20_000  # reports in scope up to which FindingGroup.subjects is exact
MAX_CONTENT_BYTES = 64 << 20  # of Report.content in one answer, after decompression

MAX_MESSAGE_BYTES = 1 << 20  # of one message from a client over a WebSocket
MAX_OPERATION_ID = 128  # characters of the id that a client gives an operation
MAX_OPERATIONS = 20  # under way on one WebSocket; each has at most one message that is not yet sent
MAX_SOCKETS = 50  # WebSockets of one token on one replica
MAX_SUBSCRIPTIONS = 100  # of one token on one replica
INIT_TIMEOUT = 10.0  # seconds from opening a WebSocket to connection_init
SEND_TIMEOUT = 15.0  # seconds that one message may wait to be sent until its reader is cut off

ROUND_EVENTS = 500  # events that a subscription is told of by one statement
ROUND_BYTES = 1 << 20  # of these, in JSON; then they are as many as reach it
ROUND_LOOKS = 8_000  # events that one statement looks at, where the filter lets few through
ROUNDS_AT_ONCE = 4  # such statements of one replica
ROUND_GAP = 0.1  # seconds between two looks of one subscription that has seen all there is
FOLLOW_EVERY = 5.0  # seconds between looks of a subscription that nobody wakes
HELD_EVERY = 0.1  # seconds between looks, one a replica, while a transaction holds events back
OUT_OF_REACH = 300.0  # seconds that a subscription waits for a database that does not answer

MAX_RUNNING = 8  # operations of one token that run at a time on one replica; others wait for them
MAX_UNDER_WAY = 100  # operations of one token that run or wait on one replica
STATEMENT_TIMEOUT = 10.0  # seconds for one operation's statement

MAX_EXPORT_ROWS = 5_000_000  # of one export as CSV or lines of JSON
EXPORT_PAGES = (1_000, 100, 10)  # rows of one statement of it, the most that MAX_COST allows
PACKED_FROM = 1024  # bytes of an answer from which it is packed for a client that accepts it
PACKED_APART = 256 * 1024  # bytes of an answer above which a thread packs it
PLAN_CACHE = 512  # plans; a flood of distinct shapes evicts the oldest instead of filling memory
PLAN_CACHE_BYTES = 8 << 20  # of the texts and statements of these
DOCUMENT_CACHE = 512  # parsed and validated documents, likewise
DOCUMENT_CACHE_BYTES = 512 << 10  # of their texts; a document takes up to a hundred times as much
MAX_INTROSPECTION = (
    400_000  # fields of an answer about the schema, estimated: twice what GraphiQL asks for
)

ONLINE_WITHIN = 45  # seconds since a cluster was last seen: three heartbeats
STALE_WITHIN = 900  # seconds since a cluster was last seen; OFFLINE after that
