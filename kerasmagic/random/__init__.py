"""Random draws and the seeds that fix them: ``keras.random``."""

from __future__ import annotations

from kerasmagic.core.random import SeedGenerator as SeedGenerator
from kerasmagic.random.draws import beta as beta
from kerasmagic.random.draws import binomial as binomial
from kerasmagic.random.draws import categorical as categorical
from kerasmagic.random.draws import dropout as dropout
from kerasmagic.random.draws import gamma as gamma
from kerasmagic.random.draws import normal as normal
from kerasmagic.random.draws import randint as randint
from kerasmagic.random.draws import shuffle as shuffle
from kerasmagic.random.draws import truncated_normal as truncated_normal
from kerasmagic.random.draws import uniform as uniform
