"""The definition language of ``%%model`` and ``%%layer``: text -> definition -> resolved definition.

``parse`` reads text by ``grammar.lark`` and executes nothing; ``expand`` writes out loops and blocks;
``check`` and ``check_layer`` give every word its meaning from a ``Vocabulary``; ``report`` shows errors;
``print`` turns a definition back into text.
"""

from kerasmagic.language.check import check_model as check_model
from kerasmagic.language.check import read_model as read_model
from kerasmagic.language.check import resolve_step as resolve_step
from kerasmagic.language.check_layer import check_layer as check_layer
from kerasmagic.language.check_layer import read_layer as read_layer
from kerasmagic.language.parse import parse_layer as parse_layer
from kerasmagic.language.parse import parse_model as parse_model
from kerasmagic.language.print import print_layer as print_layer
from kerasmagic.language.print import print_model as print_model
from kerasmagic.language.report import Finding as Finding
from kerasmagic.language.report import findings as findings
from kerasmagic.language.report import report_text as report_text
from kerasmagic.language.vocabulary import CallWords as CallWords
from kerasmagic.language.vocabulary import LayerWords as LayerWords
from kerasmagic.language.vocabulary import Vocabulary as Vocabulary
