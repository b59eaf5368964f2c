"""Settings of RMTL's training: what ``--set`` may change, and the configuration it leads to."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from mtfx.agents.rmtl_config import RmtlConfig, Weighting
from mtfx.models.config import CriticConfig, CriticFeatures
from mtfx.setting import Concerns, TrialConfig
from mtfx.trainers.ranking.config import CriticTrainingConfig, RetrainFrom, RmtlTrainingConfig


@dataclasses.dataclass(frozen=True)
class RmtlSettings(TrialConfig):
    """Settings of critics and retraining; the defaults are RMTL's (section 3.2) where it gives one.

    Attributes:
      gamma: Discount of later rewards.
      beta: Rate of the target networks' soft update.
      critic_epochs: Passes that train the critics, at most.
      critic_learning_rate: Adam's, of the critics.
      epsilon: Mean TD error of converged critics.
      critic_dropout: Share of dropped units.
      critic_features: Features of the critics' state, by level.
      max_loss: No reward is below minus this; 0: no bound.
      retrain_from: Where retraining begins.
      keep_start: Keep the pretrained model if retraining has no better AUC.
      retrain_epochs: Passes that retrain the model, at most.
      retrain_learning_rate: Adam's, when retraining.
      normalise_weights: Divide a batch's weights by their mean.
      lambda_: λ of a weight 1 - λ Q.
    """

    gamma: Annotated[float, Concerns("critics", 0.999, zero=True)] = RmtlConfig.gamma
    beta: Annotated[float, Concerns("critics", 1.0)] = RmtlConfig.soft_update
    critic_epochs: Annotated[int, Concerns("critics")] = CriticTrainingConfig.passes
    critic_learning_rate: Annotated[float, Concerns("critics", 1.0)] = (
        RmtlConfig.critic_learning_rate
    )
    epsilon: Annotated[float, Concerns("critics")] = CriticTrainingConfig.tolerance
    critic_dropout: Annotated[float, Concerns("critics", 0.9, zero=True)] = CriticConfig.dropout
    critic_features: Annotated[CriticFeatures, Concerns("critics")] = CriticConfig.features
    max_loss: Annotated[float, Concerns("critics", zero=True)] = 0.0
    retrain_from: Annotated[RetrainFrom, Concerns("retraining")] = RmtlTrainingConfig.retrain_from
    keep_start: Annotated[bool, Concerns("retraining")] = RmtlTrainingConfig.keep_start
    retrain_epochs: Annotated[int, Concerns("retraining")] = 10
    retrain_learning_rate: Annotated[float, Concerns("retraining", 1.0)] = 1e-3
    normalise_weights: Annotated[bool, Concerns("retraining")] = RmtlConfig.normalise_weights
    lambda_: Annotated[float, Concerns("weights", 10.0, zero=True)] = RmtlConfig.penalty

    def training_config(
        self, weighting: Weighting, batch_size: int, critic_path: str = ""
    ) -> RmtlTrainingConfig:
        """The configuration with these settings.

        Args:
          weighting: How critics become loss weights, see ``mtfx.agents.rmtl_config``.
          batch_size: Transitions per step of the critics.
          critic_path: Trained critics to use instead.
        """
        return RmtlTrainingConfig(
            agent=RmtlConfig(
                gamma=self.gamma,
                penalty=self.lambda_,
                soft_update=self.beta,
                critic_learning_rate=self.critic_learning_rate,
                weighting=weighting,
                normalise_weights=self.normalise_weights,
                min_reward=-self.max_loss or None,
            ),
            critics=CriticTrainingConfig(
                batch_size=batch_size,
                passes=self.critic_epochs,
                min_passes=min(CriticTrainingConfig.min_passes, self.critic_epochs),
                tolerance=self.epsilon,
            ),
            critic_dropout=self.critic_dropout,
            critic_features=self.critic_features,
            critic_path=critic_path,
            retrain_from=self.retrain_from,
            keep_start=self.keep_start,
            retrain_epochs=self.retrain_epochs,
            retrain_learning_rate=self.retrain_learning_rate,
        )
