"""The GraphQL documents that the client sends."""

from lineage.client.answers import camel

ARTIFACT = """id kind namespace name version digest createdAt createdBy description tags aliases
retractedAt retractedReason isPlaceholder body"""
TRIAL = "number state params value metrics reason error startedAt endedAt"
RUN = """id kind state executor attempt maxAttempts generation phase progress message reason createdAt createdBy
application trackingUrl startedAt endedAt cancelRequestedAt spec result"""
SHORT = "id kind namespace name version aliases retractedAt createdAt tags isPlaceholder"
DETAILS = f"""{RUN} trialCounts {{ state count }} bestTrial {{ {TRIAL} }}
used {{ {SHORT} }} generated {{ {ARTIFACT} }}"""
WATCHED = f"{RUN} trialCounts {{ state count }} bestTrial {{ {TRIAL} }}"
WALK = f"""totalCount counts {{ kind count }} complete truncatedBy wholeTo
pageInfo {{ hasNextPage endCursor }}
edges {{ distance node {{ {SHORT} upstream(first: 50) {{ type node {{ id }} }} }} }}"""
PAGE = "totalCount pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {} }} }}"

DEPLOYMENT = f"""id namespace name version endpoint state live liveSince executor replicas sample healthyReplicas
message follows model {{ {SHORT} }}"""

FIRING = """id source at cause state missed message firedAt startedAt endedAt
run { id } plan { id } promotion { id } artifact { id }"""
SCHEDULE = """id name namespace cron timezone action spec catchup catchupLimit overlap paused description missed
createdAt createdBy deletedAt"""
TRIGGER = """id name namespace event kind of metric threshold dueAfter action spec debounce overlap paused description
createdAt createdBy deletedAt"""
WEBHOOK = "id name url events kinds secret paused createdAt createdBy deletedAt"
DELIVERY = "id webhook event subject at payload state attempts nextAt status error endedAt"

PLAN = f"""id reason state seconds workSeconds createdAt createdBy startedAt endedAt of {{ {SHORT} }}
steps {{ number kind namespace name state level after seconds blockers message
of {{ {SHORT} }} made {{ {SHORT} }} run {{ id state phase progress message }} }}"""
PROMOTION = f"""id alias state automatic gate message reason createdAt createdBy decidedAt decidedBy decidedReason
override model {{ {SHORT} }} champion {{ {SHORT} }} verdict {{ {ARTIFACT} }} run {{ {RUN} }}"""

#: What a mutation answers with.
PAYLOADS = {
    **dict.fromkeys(
        (
            "registerDataset",
            "createTrainingSet",
            "registerEnvironment",
            "importEnvironment",
            "buildEnvironment",
            "tune",
            "train",
            "evaluate",
            "score",
            "deploy",
            "reproduce",
            "rescore",
            "runBenchmark",
            "measureDrift",
            "measureQuality",
            "cancelRun",
        ),
        f"run {{ {RUN} }}",
    ),
    "defineFeature": f"feature {{ {ARTIFACT} }}",
    "defineFeatureSet": f"featureSet {{ {ARTIFACT} }}",
    "registerModelCode": f"modelCode {{ {ARTIFACT} }}",
    "defineSearchSpace": f"searchSpace {{ {ARTIFACT} }}",
    "defineMetric": f"metric {{ {ARTIFACT} }}",
    "promote": f"""alias model {{ {ARTIFACT} }} former {{ {ARTIFACT} }}
verdicts {{ metric value threshold passed message }}""",
    "defineBenchmark": f"benchmark {{ {ARTIFACT} }}",
    **dict.fromkeys(("requestPromotion", "approvePromotion", "rejectPromotion"), f"promotion {{ {PROMOTION} }}"),
    "rollback": f"alias model {{ {ARTIFACT} }} former {{ {ARTIFACT} }}",
    **dict.fromkeys(("planRetraining", "executePlan", "cancelPlan", "retrain"), f"plan {{ {PLAN} }}"),
    "retract": f"artifact {{ {ARTIFACT} }}",
    "recordLineage": "nodes edges refused { list index message }",
    **dict.fromkeys(
        ("createSchedule", "updateSchedule", "pauseSchedule", "resumeSchedule", "deleteSchedule"),
        f"schedule {{ {SCHEDULE} next }}",
    ),
    **dict.fromkeys(("createTrigger", "pauseTrigger", "resumeTrigger", "deleteTrigger"), f"trigger {{ {TRIGGER} }}"),
    **dict.fromkeys(("createWebhook", "pauseWebhook", "resumeWebhook", "deleteWebhook"), f"webhook {{ {WEBHOOK} }}"),
    "redeliver": f"delivery {{ {DELIVERY} }}",
    "runSchedule": f"firing {{ {FIRING} }}",
    "undeploy": f"deployment {{ {DEPLOYMENT} }}",
}

ARTIFACT_BY_NAME = f"""query($kind: ArtifactKind!, $name: String!, $namespace: String!, $version: String) {{
artifact(kind: $kind, name: $name, namespace: $namespace, version: $version) {{ {ARTIFACT} }} }}"""
ARTIFACT_BY_ID = f"query($id: ID!) {{ node(id: $id) {{ ... on Artifact {{ {ARTIFACT} }} }} }}"
ENVIRONMENT_YML = "query($id: ID!) { node(id: $id) { ... on Environment { yaml } } }"
ARTIFACTS = f"""query($filter: ArtifactFilter, $first: Int!, $after: String) {{
found: artifacts(filter: $filter, first: $first, after: $after) {{ {PAGE.format(ARTIFACT)} }} }}"""
RUNS = f"""query($filter: RunFilter, $first: Int!, $after: String) {{
found: runs(filter: $filter, first: $first, after: $after) {{ {PAGE.format(RUN)} }} }}"""
RUN_BY_ID = f"query($id: ID!) {{ run(id: $id) {{ {DETAILS} }} }}"
RUN_WATCHED = f"query($id: ID!) {{ run(id: $id) {{ {WATCHED} }} }}"
TRIALS = f"""query($id: ID!, $first: Int!, $after: String) {{
run(id: $id) {{ found: trials(first: $first, after: $after) {{ {PAGE.format(TRIAL)} }} }} }}"""
LOG = "query($id: ID!, $after: Int!) { run(id: $id) { log(after: $after) { text next attempt } } }"
WHY = f"""query($of: [ID!]!, $node: ID!, $asOf: DateTime, $first: Int!) {{
why(of: $of, node: $node, asOf: $asOf, first: $first) {{ more paths {{ nodes {{ {SHORT} }}
links {{ type source target }} }} }} }}"""
PATHS = f"""query($from: ID!, $to: ID!, $first: Int!) {{
paths(from: $from, to: $to, first: $first) {{ nodes {{ {SHORT} }} links {{ type source target }} }} }}"""
AUDITED = f"""model {{ {ARTIFACT} }} complete gaps {{ section message }} facts {{ section name value source {{ id }} }}
verifiedDigests {{ what digest verified message }} export"""
AUDIT = f"query($model: ID!) {{ audit(model: $model, verify: false) {{ {AUDITED} }} }}"
AUDIT_ADVANCED = f"""subscription($model: ID!) {{
auditAdvanced(model: $model) {{ done total reading audit {{ {AUDITED} }} }} }}"""
PROV = "query($model: ID!) { audit(model: $model, verify: false) { prov } }"
COMPARE = f"""query($a: ID!, $b: ID!) {{ compare(a: $a, b: $b) {{ a {{ {ARTIFACT} }} b {{ {ARTIFACT} }}
complete omittedFiles differences {{ section name change a b delta text }} ancestors {{ {ARTIFACT} }} }} }}"""
PLAN_BY_ID = f"query($id: ID!) {{ plan(id: $id) {{ {PLAN} }} }}"
PLANS = f"""query($states: [PlanState!], $first: Int!, $after: String) {{
found: plans(states: $states, first: $first, after: $after) {{ {PAGE.format(PLAN)} }} }}"""
DEPLOYMENTS = f"query($namespace: String) {{ deployments(namespace: $namespace) {{ {DEPLOYMENT} }} }}"
REPRODUCTIONS = f"""query($of: ID!) {{ reproductions(of: $of) {{ run {{ {RUN} }} verdict
digests {{ what recorded reproduced }} metrics {{ metric recorded reproduced }}
surroundings {{ name recorded reproduced }} }} }}"""
SCHEDULES = f"""query($namespace: String, $deleted: Boolean!, $count: Int!) {{
schedules(namespace: $namespace, deleted: $deleted) {{ {SCHEDULE} next(count: $count) }} }}"""
SCHEDULE_BY_NAME = f"""query($id: ID, $name: String, $namespace: String! = "default", $count: Int!) {{
schedule(id: $id, name: $name, namespace: $namespace) {{ {SCHEDULE} next(count: $count) }} }}"""
TRIGGERS = f"""query($namespace: String, $deleted: Boolean!) {{
triggers(namespace: $namespace, deleted: $deleted) {{ {TRIGGER} }} }}"""
WEBHOOKS = f"query($deleted: Boolean!) {{ webhooks(deleted: $deleted) {{ {WEBHOOK} }} }}"
DELIVERIES = f"""query($webhook: ID, $states: [DeliveryState!], $first: Int!, $after: String) {{
found: deliveries(webhook: $webhook, states: $states, first: $first, after: $after) {{ {PAGE.format(DELIVERY)} }} }}"""
FIRINGS = f"""query($source: ID, $states: [FiringState!], $first: Int!, $after: String) {{
found: firings(source: $source, states: $states, first: $first, after: $after) {{ {PAGE.format(FIRING)} }} }}"""
STATUS = "{ status { version neo4jVersion executors } }"


ASKED = "$of: [ID!]!, $kinds: [ArtifactKind!], $maxDepth: Int, $asOf: DateTime, $retracted: Boolean! = false, "
ASKED += "$types: [EdgeType!], $stop: StopInput, $filter: WalkFilter, $first: Int! = 100, $after: String"
BOUNDS = "of: $of, kinds: $kinds, maxDepth: $maxDepth, asOf: $asOf, retracted: $retracted, types: $types, "
BOUNDS += "stop: $stop, filter: $filter, after: $after"
TRUTH = "totalCount counts { kind count } complete truncatedBy wholeTo"
FACETS = "facets { kinds { kind count } owners { owner count } deployments { deployment { id name version } count } }"


def walk(verb: str) -> str:
    """The document that asks for the walk *verb*: impact or provenance."""
    return f"query({ASKED}) {{ walk: {verb}({BOUNDS}, first: $first) {{ {WALK} }} }}"


def counted(verb: str) -> str:
    """The document that asks how many a walk reaches, and how they divide."""
    return f"query({ASKED}) {{ walk: {verb}({BOUNDS}, first: $first) {{ {TRUTH} {FACETS} }} }}"


def table(verb: str) -> str:
    """The document that asks for a page of the walk *verb* as columns."""
    inner = "table(first: $first, columns: $columns) { columns pageInfo { hasNextPage endCursor } }"
    return f"query({ASKED}, $columns: [WalkColumn!]) {{ walk: {verb}({BOUNDS}) {{ {inner} }} }}"


def mutation(verb: str) -> tuple[str, str]:
    """The document that does *verb* (in Python's spelling), and the name of its answer."""
    name = camel(verb)
    type_ = f"{name[0].upper()}{name[1:]}Input"
    return f"mutation($input: {type_}!) {{ {name}(input: $input) {{ {PAYLOADS[name]} }} }}", name


PROMOTION_BY_ID = f"query($id: ID!) {{ promotion(id: $id) {{ {PROMOTION} }} }}"
PROMOTIONS = f"""query($model: String, $namespace: String!, $states: [PromotionState!]) {{
promotions(model: $model, namespace: $namespace, states: $states) {{ {PROMOTION} }} }}"""
ALIASES = f"""query($kind: ArtifactKind!, $name: String!, $namespace: String!) {{
artifact(kind: $kind, name: $name, namespace: $namespace) {{ asset {{
aliasHistory {{ alias since until by reason artifact {{ {SHORT} }} }} }} }} }}"""
