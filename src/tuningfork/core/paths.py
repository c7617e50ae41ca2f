"""Every path of the pipeline, written once; `{shard}` and the like are Snakemake's wildcards."""

RESULTS = "results"
LABELS = "labels"

PLAN = f"{RESULTS}/plan.json"
PARAMETERS = f"{RESULTS}/params/{{stage}}.json"
LOG = f"{RESULTS}/logs/{{stage}}/{{item}}.log"

SOURCES = f"{RESULTS}/sources/{{shard}}.parquet"
TILES = f"{RESULTS}/tiles/{{shard}}.parquet"
STAMPS = f"{RESULTS}/stamps/{{shard}}.npy"
STAMPS_TABLE = f"{RESULTS}/stamps/{{shard}}.parquet"

TRAINING = f"{RESULTS}/training/part-{{part}}.npy"
TRAINING_TABLE = f"{RESULTS}/training/part-{{part}}.parquet"
MEASUREMENTS = f"{RESULTS}/training/measurements.npy"
MEASUREMENTS_TABLE = f"{RESULTS}/training/measurements.parquet"
MEASUREMENTS_ROWS = f"{RESULTS}/training/measurements.csv"

ENCODER = f"{RESULTS}/models/encoder.safetensors"
ENCODER_CARD = f"{RESULTS}/models/encoder.json"
MODEL = f"{RESULTS}/models/{{task}}/member-{{member}}.safetensors"
MODEL_CARD = f"{RESULTS}/models/{{task}}/member-{{member}}.json"
CHECKPOINT = f"{RESULTS}/checkpoints/{{task}}-{{member}}.safetensors"
EVALUATION = f"{RESULTS}/models/evaluation.json"
EVALUATION_TABLE = f"{RESULTS}/models/evaluation.parquet"

MORPHOLOGY = f"{RESULTS}/morphology/{{shard}}.parquet"
STRUCTURE = f"{RESULTS}/structure/{{shard}}.parquet"
SALIENCY = f"{RESULTS}/saliency/{{shard}}.npy"
SALIENCY_TABLE = f"{RESULTS}/saliency/{{shard}}.parquet"
BARS = f"{RESULTS}/bars/{{shard}}.parquet"

CATALOGUE = f"{RESULTS}/catalogue"
CATALOGUE_FILE = f"{RESULTS}/catalogue.parquet"
ACCOUNTING = f"{RESULTS}/accounting.json"
EXPLANATIONS = f"{RESULTS}/explain/explanations.parquet"
EXPLANATION_MAPS = f"{RESULTS}/explain/maps.npy"
REPORT = f"{RESULTS}/report.html"

QUEUE = f"{RESULTS}/labels/queue.parquet"
VOTES = f"{LABELS}/votes.parquet"
VOTES_STAMPS = f"{LABELS}/votes.npy"
