"""Models: ``Model``, ``Sequential`` and graphs of layers."""

from kerasmagic.foundation.registry import MODELS
from kerasmagic.models.cloning import clone_model as clone_model
from kerasmagic.models.functional import Functional as Functional
from kerasmagic.models.model import Model as Model
from kerasmagic.models.model import model_from_json as model_from_json
from kerasmagic.models.sequential import Sequential as Sequential
from kerasmagic.saving import load_model as load_model
from kerasmagic.saving import save_model as save_model

MODELS.add_all([Model, Sequential, Functional])
