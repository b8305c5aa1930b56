"""The rules that turn a task into a classifier, by name."""

from skdeep.few_shot._balanced_rules import pt_map
from skdeep.few_shot._centroid_rules import bd_cspn, prototype, soft_kmeans
from skdeep.few_shot._cleaning_rule import ilpc
from skdeep.few_shot._graph_rules import label_propagation, laplacian
from skdeep.few_shot._information_rules import alpha_tim, tim

RULES = {
    "prototype": prototype,
    "soft_kmeans": soft_kmeans,
    "bd_cspn": bd_cspn,
    "laplacian": laplacian,
    "tim": tim,
    "alpha_tim": alpha_tim,
    "pt_map": pt_map,
    "label_propagation": label_propagation,
    "ilpc": ilpc,
}
